//! The words by which blocks name a CIFS share and who logs in, for every kind that mounts one. What they mean stands elsewhere.

use crate::kinds::schema::{AttributeSchema as A, Type};

pub(in crate::kinds) const SERVER: A = A::required("server", Type::Text, "Name or address of the server.");
pub(in crate::kinds) const SHARE: A = A::required("share", Type::Text, "The share.");
pub(in crate::kinds) const PATH: A = A::optional("path", Type::Text, "A directory below the share; default none.");
pub(in crate::kinds) const USERNAME: A = A::required("username", Type::Text, "Who logs in.");
pub(in crate::kinds) const PASSWORD: A =
    A::required("password", Type::Text, "Written to a file on each host that only root can read.").secret();
pub(in crate::kinds) const DOMAIN: A = A::optional("domain", Type::Text, "The domain of the user; default none.");
pub(in crate::kinds) const VERSION: A =
    A::optional("version", Type::Text, "Version of the protocol; default \"3.1.1\".").one_of(VERSIONS);

pub(in crate::kinds) const VERSIONS: &[&str] = &["2.0", "2.1", "3.0", "3.0.2", "3.1.1"];
pub(in crate::kinds) const DEFAULT_VERSION: &str = "3.1.1";
