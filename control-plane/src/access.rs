//! Who may call what.
//!
//! Rules this module keeps:
//! - Every call passes here before any service sees it. [`table`] says which role it needs; a method
//!   that is not there is refused.
//! - Whoever does not speak TLS where everybody has to, or shows no certificate, is refused everything.
//! - A control plane without a file of tokens asks nobody who they are.
//! - A call ends when its token is revoked, however long it has been open.
//! - Of a token only its hash is kept, and compared in a time that does not depend on it. Nothing here
//!   prints a token.
//! - A revision's author is the name of the token it was made with.

mod changes;
mod file;
mod revoked;
mod table;
mod token;

use agix_proto::tls::Standing;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::sync::watch;
use tonic::Status;
use tonic::service::Routes;
use tracing::info;

pub(crate) use changes::record;
pub(crate) use file::follow;
pub use file::{InvalidTokens, TokensError};
use revoked::{Ending, Side, revocation};
use table::Needs;
use token::Known;
pub use token::{Created, InvalidName, Role, Tokens, create};

/// What calls are let through.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The tokens; none: everybody may do everything.
    tokens: Option<watch::Receiver<Tokens>>,
}

/// Who calls.
#[derive(Debug, Clone)]
struct Caller {
    known: Known,
}

impl Access {
    /// Lets through who has one of `tokens`; everybody if there are none.
    pub(crate) const fn new(tokens: Option<watch::Receiver<Tokens>>) -> Self {
        Self { tokens }
    }

    /// The same services, behind this.
    pub(crate) fn guard(self, routes: Routes) -> Routes {
        let router = routes.into_axum_router();
        router.layer(from_fn_with_state(self, check)).into()
    }

    /// Who calls `path`, unless that is refused. `None`: nobody was asked.
    fn caller(&self, path: &str, shown: Option<&str>) -> Result<Option<Caller>, Status> {
        let Some(tokens) = &self.tokens else {
            return Ok(None);
        };
        let needed = match table::needs(path) {
            None => return Err(Status::permission_denied("nobody may call this method")),
            Some(Needs::Nothing) => return Ok(None),
            Some(Needs::Role(role)) => role,
        };
        let shown = shown.and_then(|shown| shown.strip_prefix("Bearer "));
        let Some(shown) = shown else {
            return Err(Status::unauthenticated(
                "this control plane asks for a token, and none was shown",
            ));
        };
        let tokens = tokens.borrow();
        let Some(known) = tokens.find(shown) else {
            info!(path, "a call with an unknown token was refused");
            return Err(Status::unauthenticated(
                "the token is not known here, or not any more",
            ));
        };
        let (name, role) = (known.name(), known.role());
        if !role.may_act_as(needed) {
            info!(path, name, %role, "a call was refused");
            return Err(Status::permission_denied(format!(
                "the token of `{name}` has the role {role}; this needs the role {needed}"
            )));
        }
        let known = known.clone();
        Ok(Some(Caller { known }))
    }
}

/// Whether there is such a method.
pub(crate) fn is_known(path: &str) -> bool {
    table::needs(path).is_some()
}

/// The name of the token a call was made with.
pub(crate) fn author<T>(request: &tonic::Request<T>) -> Option<String> {
    let caller = request.extensions().get::<Caller>();
    caller.map(|caller| caller.known.name().to_owned())
}

async fn check(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let standing = request.extensions().get::<Standing>();
    if let Some(refusal) = standing.and_then(|standing| standing.refusal()) {
        return Status::failed_precondition(refusal).into_http::<Body>();
    }
    let shown = request.headers().get(AUTHORIZATION);
    let shown = shown.and_then(|shown| shown.to_str().ok());
    match access.caller(request.uri().path(), shown) {
        Ok(caller) => {
            let (Some(caller), Some(tokens)) = (caller, &access.tokens) else {
                return next.run(request).await;
            };
            let until = || revocation(tokens, caller.known.clone());
            let (said, heard) = (until(), until());
            request.extensions_mut().insert(caller);
            let request = request.map(|body| Ending::body(body, said, Side::Service));
            let response = next.run(request).await;
            response.map(|body| Ending::body(body, heard, Side::Caller))
        }
        Err(refused) => refused.into_http::<Body>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPLY: &str = "/agix.v1.PolicyAdmin/Apply";
    const GET: &str = "/agix.v1.PolicyAdmin/Get";
    const SYNC: &str = "/agix.v1.PolicySync/Watch";
    const HEALTH: &str = "/grpc.health.v1.Health/Check";

    /// An access with one token of each role, and the headers that show them.
    fn access() -> (Access, impl Fn(Role) -> String) {
        let roles = [Role::Viewer, Role::Operator, Role::Admin, Role::Proxy];
        let made = roles.map(|role| create(role, &format!("a-{role}")).unwrap());
        let lines = made.iter().map(|it| format!("{}\n", it.line));
        let tokens: Tokens = lines.collect::<String>().parse().unwrap();
        let (_, watched) = watch::channel(tokens);
        let header = move |role| {
            let place = roles.iter().position(|it| *it == role).unwrap();
            format!("Bearer {}", made[place].token)
        };
        (Access::new(Some(watched)), header)
    }

    #[test]
    fn each_role_may_do_what_it_is_for_and_no_more() {
        let (access, header) = access();
        let may = |role, path| access.caller(path, Some(&header(role))).is_ok();
        let calls = [GET, APPLY, "/agix.v1.StateAdmin/Backup", SYNC];
        let row = |role| calls.map(|path| may(role, path));
        assert_eq!(row(Role::Viewer), [true, false, false, false]);
        assert_eq!(row(Role::Operator), [true, true, false, false]);
        assert_eq!(row(Role::Admin), [true, true, true, false]);
        assert_eq!(row(Role::Proxy), [false, false, false, true]);
        let caller = access.caller(APPLY, Some(&header(Role::Operator)));
        assert_eq!(caller.unwrap().unwrap().known.name(), "a-operator");
    }

    #[test]
    fn without_a_known_token_only_health_is_told() {
        let (access, header) = access();
        assert!(access.caller(HEALTH, None).is_ok());
        let mut other = header(Role::Admin);
        other.pop();
        other.push('z');
        for shown in [None, Some("Bearer "), Some("Basic x"), Some(other.as_str())] {
            let refused = access.caller(GET, shown).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unauthenticated);
            assert!(!refused.message().contains("agix_"));
        }
    }

    #[test]
    fn a_method_that_is_not_in_the_table_is_refused_to_everybody() {
        let (access, header) = access();
        let unknown = "/agix.v1.PolicyAdmin/Burn";
        let refused = access.caller(unknown, Some(&header(Role::Admin)));
        assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
    }

    #[test]
    fn a_control_plane_without_tokens_asks_nobody() {
        assert!(Access::new(None).caller(APPLY, None).unwrap().is_none());
    }
}
