//! A certificate authority as an operator makes one, with the commands of `docs/operations.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority, its files and those of what it signed.
#[derive(Debug, Clone)]
pub struct Authority {
    directory: PathBuf,
}

/// The files of a certificate and of its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one in a directory of that name in `home`.
    ///
    /// # Panics
    /// There is no `openssl` program.
    pub fn new(home: &Path, name: &str) -> Self {
        let directory = home.join(name);
        std::fs::create_dir(&directory).expect("a new directory");
        let authority = Self { directory };
        authority.openssl("ca", &["-subj", &format!("/CN={name}")]);
        authority
    }

    /// The certificate that vouches for what it signs.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Signs a certificate of that name for this machine.
    pub fn sign(&self, name: &str) -> Certificate {
        let subject = format!("/CN={name}");
        self.openssl(
            name,
            &[
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-subj",
                &subject,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
            ],
        );
        Certificate {
            certificate: self.directory.join(format!("{name}.pem")),
            key: self.directory.join(format!("{name}.key")),
        }
    }

    /// The environment of a server that shows a certificate of this authority and asks for one.
    pub fn server(&self, name: &str) -> Vec<(String, String)> {
        let mine = self.sign(name);
        vec![
            variable("AGIX_TLS_CERT", &mine.certificate),
            variable("AGIX_TLS_KEY", &mine.key),
            variable("AGIX_TLS_CLIENT_CA", &self.certificate()),
        ]
    }

    /// The environment of a client that believes this authority and shows a certificate of it.
    pub fn client(&self, name: &str) -> Vec<(String, String)> {
        let mine = self.sign(name);
        vec![
            self.believed(),
            variable("AGIX_CLIENT_CERT", &mine.certificate),
            variable("AGIX_CLIENT_KEY", &mine.key),
        ]
    }

    /// What makes a client believe this authority.
    pub fn believed(&self) -> (String, String) {
        variable("AGIX_CA", &self.certificate())
    }

    fn openssl(&self, name: &str, more: &[&str]) {
        let curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"];
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"])
            .args(curve)
            .args(["-keyout", &format!("{name}.key")])
            .args(["-out", &format!("{name}.pem")])
            .args(more)
            .current_dir(&self.directory)
            .output()
            .expect("openssl is there");
        assert!(output.status.success(), "{output:?}");
    }
}

fn variable(name: &str, file: &Path) -> (String, String) {
    (name.to_owned(), file.display().to_string())
}
