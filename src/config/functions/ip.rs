//! Functions of IP networks, written as address and prefix length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dashu_int::IBig;

use super::super::value::Value;
use super::{Fault, Function, Outcome, Takes, function, number, takes, text, whole};

pub(super) const TABLE: &[Function] = &[
    function(
        "cidrcontains",
        &[takes("containing_prefix", Takes::Text), takes("contained_ip_or_prefix", Takes::Text)],
        Takes::Bool,
        |_, arguments| {
            let outer = network(text(arguments, 0)).map_err(Fault::call)?;
            let contained = text(arguments, 1);
            let inner = match contained.contains('/') {
                true => network(contained).map_err(Fault::call)?,
                false => network(&format!("{contained}/{}", if contained.contains(':') { 128 } else { 32 }))
                    .map_err(Fault::call)?,
            };
            if inner.bits != outer.bits {
                return Err(Fault::call("one is IPv4 and the other IPv6"));
            }
            Ok((inner.length >= outer.length && inner.address & outer.mask() == outer.address).into())
        },
    ),
    function(
        "cidrhost",
        &[takes("prefix", Takes::Text), takes("hostnum", Takes::Number)],
        Takes::Text,
        |_, arguments| {
            let network = network(text(arguments, 0)).map_err(Fault::call)?;
            let number =
                number(arguments, 1).to_whole().ok_or_else(|| Fault::call("the number of a host is a whole number"))?;
            let count = IBig::from(1) << usize::from(network.bits - network.length);
            let number = if number < IBig::ZERO { number + &count } else { number };
            if number < IBig::ZERO || number >= count {
                return Err(Fault::call("the network has no host of this number"));
            }
            let offset = u128::try_from(&number).map_err(|error| Fault::call(error.to_string()))?;
            Ok(Network { address: network.address | offset, ..network }.ip().to_string().into())
        },
    ),
    function("cidrnetmask", &[takes("prefix", Takes::Text)], Takes::Text, |_, arguments| {
        let network = network(text(arguments, 0)).map_err(Fault::call)?;
        if network.bits == 128 {
            return Err(Fault::call("IPv6 has no netmasks"));
        }
        Ok(Network { address: network.mask(), ..network }.ip().to_string().into())
    }),
    function(
        "cidrsubnet",
        &[takes("prefix", Takes::Text), takes("newbits", Takes::Number), takes("netnum", Takes::Number)],
        Takes::Text,
        |_, arguments| {
            let network = network(text(arguments, 0)).map_err(Fault::call)?;
            let more = u8::try_from(whole(arguments, 1)?).ok().filter(|more| *more <= network.bits - network.length);
            let more = more.ok_or_else(|| Fault::call("the prefix has not so many bits left"))?;
            let number = number(arguments, 2).to_whole().and_then(|number| u128::try_from(&number).ok());
            let number = number.filter(|number| more == 128 || number >> more == 0);
            let number = number.ok_or_else(|| Fault::call("the bits cannot hold this number"))?;
            Ok(network.part(more, number).to_string().into())
        },
    ),
    function("cidrsubnets", &[takes("prefix", Takes::Text)], Takes::Texts, |_, arguments| subnets(arguments))
        .and_more(takes("newbits", Takes::Number)),
];

/// A network; the bits of hosts are zero.
#[derive(Clone, Copy)]
struct Network {
    address: u128,
    length: u8,
    /// 32 or 128.
    bits: u8,
}

impl Network {
    fn mask(&self) -> u128 {
        let all = if self.bits == 128 { u128::MAX } else { u128::from(u32::MAX) };
        match self.bits - self.length {
            128 => 0,
            hosts => all >> hosts << hosts,
        }
    }

    fn ip(&self) -> IpAddr {
        match self.bits {
            128 => Ipv6Addr::from(self.address).into(),
            _ => Ipv4Addr::from(self.address as u32).into(),
        }
    }

    /// The network of that number among those with `more` bits of prefix.
    fn part(&self, more: u8, number: u128) -> Network {
        let length = self.length + more;
        let shifted = number.checked_shl(u32::from(self.bits - length)).unwrap_or(0);
        Network { address: self.address | shifted, length, ..*self }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.ip(), self.length)
    }
}

/// Reads `address/length`. Zeros in front of numbers mean nothing, as Terraform has always read them.
fn network(text: &str) -> Result<Network, String> {
    let wrong = || "this is no network; write it like `10.0.0.0/8`".to_owned();
    let (address, length) = text.split_once('/').ok_or_else(wrong)?;
    let (address, bits) = match address.contains(':') {
        true => (u128::from(address.parse::<Ipv6Addr>().map_err(|_| wrong())?), 128),
        false => {
            let numbers: Vec<&str> = address.split('.').collect();
            let mut value = 0u32;
            for number in &numbers {
                let is_number =
                    !number.is_empty() && number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit());
                let number = number.parse::<u8>().ok().filter(|_| is_number).ok_or_else(wrong)?;
                value = value << 8 | u32::from(number);
            }
            if numbers.len() != 4 {
                return Err(wrong());
            }
            (u128::from(value), 32)
        }
    };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let length = length.parse::<u8>().ok().filter(|length| is_number && *length <= bits);
    let network = Network { address, length: length.ok_or_else(wrong)?, bits };
    Ok(Network { address: network.address & network.mask(), ..network })
}

fn subnets(arguments: &[Value]) -> Outcome {
    let network = network(text(arguments, 0)).map_err(|why| Fault::argument(0, why))?;
    let end = network.address | !network.mask() & if network.bits == 128 { u128::MAX } else { u128::from(u32::MAX) };
    let mut next = Some(network.address);
    let mut parts = Vec::new();
    for index in 1..arguments.len() {
        let wrong = |why: &str| Fault::argument(index, why);
        let more = number(arguments, index).to_u64().and_then(|more| u8::try_from(more).ok()).filter(|more| *more >= 1);
        let more = more.ok_or_else(|| wrong("at least one bit is required"))?;
        if more > network.bits - network.length {
            return Err(wrong("the prefix has not so many bits left"));
        }
        if more > 32 {
            return Err(wrong("the prefix can become 32 bits longer at most"));
        }
        let length = network.length + more;
        let hosts = network.bits - length;
        let size = if hosts == 128 { 0 } else { 1u128 << hosts };
        let start = next.ok_or_else(|| wrong("the network has no room left"))?;
        // Each part begins at a multiple of its own size.
        let start = match start % size {
            0 => start,
            rest => start.checked_add(size - rest).ok_or_else(|| wrong("the network has no room left"))?,
        };
        if start > end {
            return Err(wrong("the network has no room left"));
        }
        parts.push(Network { address: start, length, bits: network.bits }.to_string());
        next = start.checked_add(size);
    }
    Ok(Value::texts(parts))
}
