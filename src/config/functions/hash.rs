//! Hashes of texts and files, and identifiers computed from names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use super::super::value::Value;
use super::{Evaluator, Fault, Function, Outcome, Parameter, Takes, function, takes, text};

const STR: &[Parameter] = &[takes("str", Takes::Text)];
const PATH: &[Parameter] = &[takes("path", Takes::Text)];

pub(super) const TABLE: &[Function] = &[
    function("base64sha256", STR, Takes::Text, |_, arguments| base64(sha256(text(arguments, 0).as_bytes()))),
    function("base64sha512", STR, Takes::Text, |_, arguments| base64(sha512(text(arguments, 0).as_bytes()))),
    function("filebase64sha256", PATH, Takes::Text, |evaluator, arguments| {
        base64(sha256(&bytes(evaluator, arguments)?))
    }),
    function("filebase64sha512", PATH, Takes::Text, |evaluator, arguments| {
        base64(sha512(&bytes(evaluator, arguments)?))
    }),
    function("filemd5", PATH, Takes::Text, |evaluator, arguments| hex(md5(&bytes(evaluator, arguments)?))),
    function("filesha1", PATH, Takes::Text, |evaluator, arguments| hex(sha1(&bytes(evaluator, arguments)?))),
    function("filesha256", PATH, Takes::Text, |evaluator, arguments| hex(sha256(&bytes(evaluator, arguments)?))),
    function("filesha512", PATH, Takes::Text, |evaluator, arguments| hex(sha512(&bytes(evaluator, arguments)?))),
    function("md5", STR, Takes::Text, |_, arguments| hex(md5(text(arguments, 0).as_bytes()))),
    function("sha1", STR, Takes::Text, |_, arguments| hex(sha1(text(arguments, 0).as_bytes()))),
    function("sha256", STR, Takes::Text, |_, arguments| hex(sha256(text(arguments, 0).as_bytes()))),
    function("sha512", STR, Takes::Text, |_, arguments| hex(sha512(text(arguments, 0).as_bytes()))),
    function("uuidv5", &[takes("namespace", Takes::Text), takes("name", Takes::Text)], Takes::Text, |_, arguments| {
        let namespace = match text(arguments, 0) {
            "dns" => uuid::Uuid::NAMESPACE_DNS,
            "url" => uuid::Uuid::NAMESPACE_URL,
            "oid" => uuid::Uuid::NAMESPACE_OID,
            "x500" => uuid::Uuid::NAMESPACE_X500,
            other => uuid::Uuid::parse_str(other)
                .map_err(|_| Fault::call("the namespace is `dns`, `url`, `oid`, `x500` or a UUID"))?,
        };
        Ok(uuid::Uuid::new_v5(&namespace, text(arguments, 1).as_bytes()).to_string().into())
    }),
];

fn bytes(evaluator: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Vec<u8>, Fault> {
    super::file::read(evaluator, text(arguments, 0))
}

fn md5(bytes: &[u8]) -> Vec<u8> {
    md5::Md5::digest(bytes).to_vec()
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    sha1::Sha1::digest(bytes).to_vec()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    sha2::Sha256::digest(bytes).to_vec()
}

fn sha512(bytes: &[u8]) -> Vec<u8> {
    sha2::Sha512::digest(bytes).to_vec()
}

fn base64(hash: Vec<u8>) -> Outcome {
    Ok(STANDARD.encode(hash).into())
}

fn hex(hash: Vec<u8>) -> Outcome {
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}
