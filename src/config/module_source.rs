//! What the `source` of a `module` block names: a directory of the workstation, or a directory of a git repository at a
//! pinned revision.

use std::fmt;

/// Where a module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ModuleSource {
    /// A path that begins with `./` or `../`, from the module that calls.
    Local(String),
    /// A directory of a package, empty for its top.
    Git(GitSource, String),
}

/// A git repository at one revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitSource {
    /// As git takes it: `https://`, `ssh://`, `file://`, or `user@host:path`.
    pub url: String,
    /// A tag, a branch or a commit. The lock file pins what it meant when it was fetched.
    pub revision: String,
}

impl fmt::Display for GitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "git::{}?ref={}", self.url, self.revision)
    }
}

const FORMS: &str = "Write a path that begins with `./` or `../`, or a git repository with a pinned revision: \
                     `git::https://host/repo.git//directory?ref=v1.0`.";

/// Reads a source; the error is a sentence with its cure.
pub(super) fn parse(text: &str) -> Result<ModuleSource, String> {
    if text.starts_with("./") || text.starts_with("../") || [".", ".."].contains(&text) {
        return Ok(ModuleSource::Local(text.to_owned()));
    }
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(format!("It holds white space or control characters. {FORMS}"));
    }
    let shorthand = ["github.com/", "bitbucket.org/"].iter().any(|host| text.starts_with(host));
    let address = match text.strip_prefix("git::") {
        Some(address) => address.to_owned(),
        None if shorthand => format!("https://{text}"),
        None if text.starts_with("git@") => text.to_owned(),
        None if text.starts_with('/') => {
            return Err(format!("A module is named relative to the one that calls it. {FORMS}"));
        }
        None => return Err(format!("Larder has no registry of modules. {FORMS}")),
    };
    let (address, query) = match address.split_once('?') {
        Some((address, query)) => (address.to_owned(), query.to_owned()),
        None => (address, String::new()),
    };
    let mut revision = None;
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("ref", value)) if !value.is_empty() => revision = Some(value.to_owned()),
            // Terraform's; how much history is fetched is decided here.
            Some(("depth", _)) => {}
            _ => return Err(format!("`{part}` means nothing here. {FORMS}")),
        }
    }
    let Some(revision) = revision else {
        return Err(
            "It names no revision, so it would mean something else tomorrow. Add `?ref=` with a tag or a commit."
                .to_owned(),
        );
    };
    if revision.starts_with('-') || revision.contains(['\\', '^', '~', ':', '*', '[']) || revision.contains("..") {
        return Err(format!("`{revision}` is no name of a revision. Give `ref` a tag, a branch or a commit."));
    }
    let (url, directory) = split(&address, shorthand);
    checked(&url)?;
    let directory = directory.trim_matches('/').to_owned();
    if directory.split('/').any(|step| [".", ".."].contains(&step)) {
        return Err("The directory behind `//` leads out of the repository. Name it from the top.".to_owned());
    }
    Ok(ModuleSource::Git(GitSource { url, revision }, directory))
}

/// The repository and the directory in it, which stands behind `//`.
fn split(address: &str, shorthand: bool) -> (String, String) {
    let after_scheme = address.find("://").map_or(0, |at| at + 3);
    let (url, directory) = match address[after_scheme..].find("//") {
        Some(at) => (address[..after_scheme + at].to_owned(), address[after_scheme + at + 2..].to_owned()),
        None => (address.to_owned(), String::new()),
    };
    match shorthand && !url.ends_with(".git") {
        true => (format!("{url}.git"), directory),
        false => (url, directory),
    }
}

/// Only what reads a repository: some schemes of git run programs.
fn checked(url: &str) -> Result<(), String> {
    let user = match url.split_once("://") {
        Some((scheme, rest)) => {
            if !["https", "http", "ssh", "file"].contains(&scheme) {
                return Err(format!("`{scheme}://` is not fetched. Use https, ssh or file."));
            }
            let authority = rest.split('/').next().unwrap_or(rest);
            if authority.starts_with('-') {
                return Err(format!("`{authority}` is no host. {FORMS}"));
            }
            let user = authority.rsplit_once('@').map(|(user, _)| user);
            if scheme.starts_with("http") && user.is_some() {
                return Err("It holds a user or a token, which everyone who reads the configuration would see. Leave it out and \
                            use a credential helper of git, or ssh."
                    .to_owned());
            }
            user
        }
        None => match url.split_once(':') {
            Some((host, path))
                if host.contains('@') && !host.starts_with('-') && !path.is_empty() && !path.starts_with(':') =>
            {
                host.rsplit_once('@').map(|(user, _)| user)
            }
            _ => return Err(format!("`{url}` is no address of a repository. {FORMS}")),
        },
    };
    match user {
        Some(user) if user.contains(':') => {
            Err("It holds a password, which everyone who reads the configuration would see. Leave it out and use a \
                 credential helper of git, or ssh."
                .to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_paths_or_pinned_repositories() {
        let git = |url: &str, revision: &str, directory: &str| {
            Some(ModuleSource::Git(GitSource { url: url.into(), revision: revision.into() }, directory.into()))
        };
        for (text, expected) in [
            ("./modules/pool", Some(ModuleSource::Local("./modules/pool".into()))),
            ("../pool", Some(ModuleSource::Local("../pool".into()))),
            ("git::https://host/a.git//sub/dir?ref=v1", git("https://host/a.git", "v1", "sub/dir")),
            ("git::ssh://git@host/a.git?ref=0a1b", git("ssh://git@host/a.git", "0a1b", "")),
            ("git::file:///srv/a.git//x?ref=v1&depth=1", git("file:///srv/a.git", "v1", "x")),
            ("git::git@host:a/b.git//x?ref=v1", git("git@host:a/b.git", "v1", "x")),
            ("git@host:a/b.git?ref=v1", git("git@host:a/b.git", "v1", "")),
            ("github.com/a/b//x?ref=v1", git("https://github.com/a/b.git", "v1", "x")),
            ("git::https://host/a.git", None),
            ("git::https://host/a.git?ref=", None),
            ("git::https://host/a.git?ref=--upload-pack=x", None),
            ("git::https://host/a.git//../x?ref=v1", None),
            ("git::https://user:secret@host/a.git?ref=v1", None),
            ("git::https://token@host/a.git?ref=v1", None),
            ("git::ext::sh -c id?ref=v1", None),
            ("git::ext::sh?ref=v1", None),
            ("git::ext://sh?ref=v1", None),
            ("git::-oProxyCommand=x@host:a?ref=v1", None),
            ("git::ssh://-oProxyCommand=x/a?ref=v1", None),
            ("git::https://host/a.git?ref=v1&upload=x", None),
            ("hashicorp/consul/aws", None),
            ("/srv/modules/pool", None),
            ("", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}
