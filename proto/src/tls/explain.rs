//! What a failed handshake means to whoever has to mend it.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// What to do about an error of a connection, if TLS is what it is about.
pub fn explain(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.filter_map(in_tls).find_map(advice)
}

/// The error of TLS that this is, or holds.
fn in_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // An IO error gives out the cause of what it holds, and not that itself.
    let held = error.downcast_ref::<io::Error>()?.get_ref()?;
    in_tls(held)
}

fn advice(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is signed by nobody who is trusted here: give the certificate of the \
             authority that signed it with --ca"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "its certificate is for another name: use an address that is in it, or add this one to \
             its subjectAltName"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "its certificate has expired: give it a new one",
        rustls::Error::InvalidCertificate(_) => "its certificate cannot be used",
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS there: write the address with http://, or start it with --tls-cert"
        }
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError,
        ) => {
            "it does not accept the certificate of --client-cert: that has to be signed by the \
             authority of its --tls-client-ca, and be valid now"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_is_found_where_it_is_wrapped_and_no_other_is_explained() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(unknown));
        assert!(explain(&wrapped).unwrap().contains("--ca"));
        let other_name = rustls::Error::InvalidCertificate(CertificateError::NotValidForName);
        assert!(explain(&other_name).unwrap().contains("subjectAltName"));
        let plain = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert!(explain(&plain).unwrap().contains("http://"));
        assert_eq!(explain(&io::Error::from(io::ErrorKind::TimedOut)), None);
    }
}
