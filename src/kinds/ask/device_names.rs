//! The names of block devices that stay the same from boot to boot, by device number: links of udev and names of the device
//! mapper.

use std::collections::BTreeMap;

use crate::model::{HostFacts, Question};

use super::{Known, failure};

/// Names by number, `8:17` for example; each list in the order in which people would choose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceNames(BTreeMap<String, Vec<String>>);

impl DeviceNames {
    /// The names of the device with that number, best first.
    pub fn of(&self, number: &str) -> impl Iterator<Item = &str> {
        self.0.get(number).into_iter().flatten().map(String::as_str).filter(|name| rank(name).is_some())
    }

    /// The number of the device with that name.
    pub fn number(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(_, names)| names.iter().any(|one| one == name)).map(|(number, _)| number.as_str())
    }
}

/// The directories of names that stay, those that name the hardware first. In each, a World Wide Name is shortest and says most.
fn rank(name: &str) -> Option<usize> {
    const BEST_FIRST: [&str; 7] = [
        "/dev/disk/by-id/wwn-",
        "/dev/disk/by-id/nvme-eui.",
        "/dev/mapper/",
        "/dev/disk/by-id/",
        "/dev/disk/by-partuuid/",
        "/dev/disk/by-uuid/",
        "/dev/disk/by-path/",
    ];
    BEST_FIRST.iter().position(|prefix| name.starts_with(prefix))
}

pub fn question() -> Question {
    Question::new(["device_names"])
}

pub fn read(facts: &HostFacts) -> Known<DeviceNames> {
    let reply = facts.said(&question())?;
    match reply.status {
        0 => Ok(parse(&reply.out)),
        _ => Err(failure(&reply)),
    }
}

// A line that is no name of a block device names none.
fn parse(text: &str) -> DeviceNames {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let Some((number, name)) = line.strip_prefix("block special file|").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let hexadecimal = |part: &str| u32::from_str_radix(part, 16).ok();
        let Some((major, minor)) =
            number.split_once(':').and_then(|(major, minor)| Some((hexadecimal(major)?, hexadecimal(minor)?)))
        else {
            continue;
        };
        let of_number = names.entry(format!("{major}:{minor}")).or_default();
        if !of_number.iter().any(|one| one == name) {
            of_number.push(name.to_owned());
        }
    }
    for of_number in names.values_mut() {
        of_number.sort_by_key(|name| (rank(name), name.clone()));
    }
    DeviceNames(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAID: &str = "block special file|8:11 /dev/sdb1\nblock special file|8:11 /dev/disk/by-uuid/77\n\
        block special file|8:11 /dev/disk/by-id/scsi-3600\nblock special file|8:11 /dev/disk/by-id/wwn-0x600\n\
        character special file|a:ec /dev/mapper/control\nblock special file|fe:0 /dev/mapper/vg-images\n";

    #[test]
    fn names_that_stay_come_best_first() {
        let names = parse(SAID);
        assert_eq!(
            names.of("8:17").collect::<Vec<_>>(),
            ["/dev/disk/by-id/wwn-0x600", "/dev/disk/by-id/scsi-3600", "/dev/disk/by-uuid/77"]
        );
        assert_eq!(names.of("254:0").collect::<Vec<_>>(), ["/dev/mapper/vg-images"]);
        assert_eq!(names.of("10:236").count(), 0);
        assert_eq!(names.number("/dev/sdb1"), Some("8:17"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_table_of_names(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
