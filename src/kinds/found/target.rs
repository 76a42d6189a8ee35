//! A host as it is named on the command line where no block describes it: `[user@]address[:port]`, or `local`.

use crate::model::block::AttributeMap;
use crate::model::{Address, Attribute, Block, Datum, Lifecycle};

use super::names::word;
use crate::kinds::host;

/// The word for this machine.
const LOCAL: &str = "local";

/// The block of such a host, under the name that is to be given to it if it is free. `None` where the text has no such form;
/// what else is wrong with it, the kind says when the block is completed.
pub fn host_block(text: &str) -> Option<Block> {
    let mut attributes = AttributeMap::new();
    let mut set = |name: &'static str, value: Datum| {
        attributes.insert(name.into(), Attribute::default_value(value));
    };
    if text == LOCAL {
        set("connection", Datum::Text(LOCAL.into()));
        return Some(block(LOCAL, attributes));
    }
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (address, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, rest)) => (address, Some(rest.strip_prefix(':')?)),
        // More than one colon is an IPv6 address without a port.
        None => match rest.split_once(':') {
            Some((address, port)) if !port.contains(':') => (address, Some(port)),
            _ => (rest, None),
        },
    };
    if address.is_empty() || user.is_some_and(str::is_empty) {
        return None;
    }
    set("address", Datum::Text(address.into()));
    if let Some(user) = user {
        set("user", Datum::Text(user.into()));
    }
    if let Some(port) = port {
        set("port", Datum::Integer(i64::from(port.parse::<u16>().ok()?)));
    }
    let is_number = address.parse::<std::net::IpAddr>().is_ok();
    // A machine is mostly called by the first part of its name.
    let short = if is_number { address } else { address.split('.').next().unwrap_or(address) };
    Some(block(&word(short, "host"), attributes))
}

fn block(name: &str, attributes: AttributeMap) -> Block {
    Block {
        address: Address::root(host::NAME, name),
        attributes,
        blocks: Vec::new(),
        depends_on: Default::default(),
        lifecycle: Lifecycle::default(),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::block::Attributes;
    use proptest::prelude::*;

    #[test]
    fn hosts_are_named_as_ssh_has_it() {
        let table = [
            ("hv1.example.com", Some(("hv1", "hv1.example.com", None, None))),
            ("root@10.0.0.11", Some(("host_10_0_0_11", "10.0.0.11", Some("root"), None))),
            ("admin@hv-2:2222", Some(("hv-2", "hv-2", Some("admin"), Some(2222)))),
            ("[2001:db8::1]:22", Some(("host_2001_db8_1", "2001:db8::1", None, Some(22)))),
            ("2001:db8::1", Some(("host_2001_db8_1", "2001:db8::1", None, None))),
            ("hv1:", None),
            ("hv1:99999", None),
            ("@hv1", None),
            ("", None),
            ("[::1]x", None),
        ];
        for (text, expected) in table {
            let block = host_block(text);
            let found = block.as_ref().map(|block| {
                let name: &str = &block.address.name;
                (name, block.text("address").unwrap_or_default(), block.text("user"), block.integer("port"))
            });
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(host_block("local").expect("a host").text("connection"), Some("local"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_host_or_none(text in any::<String>()) {
            let _ = host_block(&text);
        }
    }
}
