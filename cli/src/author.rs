//! Who makes a revision, unless `--author` says so: `$USER@host`.

use agix_core::limits::AUTHOR_BYTES;

/// The author of changes made by this process's user on this machine.
pub(crate) fn author() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let uname = rustix::system::uname();
    compose(user.as_deref(), uname.nodename().to_str().ok())
}

fn compose(user: Option<&str>, host: Option<&str>) -> String {
    let user = user.unwrap_or("unknown");
    let mut author = match host.filter(|host| !host.is_empty()) {
        Some(host) => format!("{user}@{host}"),
        None => user.to_owned(),
    };
    author.truncate(author.floor_char_boundary(AUTHOR_BYTES));
    author
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_named_even_where_nothing_is_known() {
        assert_eq!(compose(Some("ada"), Some("box")), "ada@box");
        assert_eq!(compose(None, Some("box")), "unknown@box");
        assert_eq!(compose(Some("ada"), Some("")), "ada");
    }

    #[test]
    fn an_author_is_never_too_long_to_be_taken() {
        let long = compose(Some(&"é".repeat(300)), Some("box"));
        assert!(long.len() <= AUTHOR_BYTES && long.len() >= AUTHOR_BYTES - 1);
    }
}
