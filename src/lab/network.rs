//! The network of a lab of namespace hosts: a bridge in a network namespace of its own, which no firewall rule of the
//! machine touches, and one pair of interfaces that joins it to the machine. On the machine a lab shows as one
//! interface and one small range of addresses.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;

use super::run::file_problem;
use super::{HostRecord, Lab, lock};
use crate::model::Problem;

/// The machine's end; hosts follow from `FIRST_HOST` on.
const MACHINE: u8 = 1;
pub(super) const FIRST_HOST: u8 = 2;

/// Where ranges of 256 addresses are taken from: a corner of the private addresses, and where a route of the machine
/// covers all of that (many VPNs claim 10.0.0.0/8), the addresses that RFC 2544 sets apart for tests of networks.
const SPACES: [[u8; 2]; 3] = [[10, 231], [198, 18], [198, 19]];

/// The address of host number `host` in a lab's range, whose own address is the first of 256.
pub(super) fn address(range: Ipv4Addr, host: u8) -> Ipv4Addr {
    let [a, b, c, _] = range.octets();
    Ipv4Addr::new(a, b, c, host)
}

/// Whether the lab's network is there as a whole.
pub(super) fn is_up(lab: &Lab, range: Ipv4Addr) -> bool {
    let machine = format!("{}/24", address(range, MACHINE));
    let on_machine = lab.run("ip", ["-4", "-o", "address", "show", "dev", &lab.interface(), "up"]);
    if !on_machine.is_ok_and(|text| text.split_whitespace().any(|word| word == machine)) {
        return false;
    }
    let joined = inside(lab, &["-o", "link", "show", "dev", "machine", "master", "lab"]);
    joined.is_ok_and(|text| text.contains("machine"))
}

/// Makes the network anew and gives its range: the one wanted (0 to 255 in the first space), or the next that nothing on
/// this machine uses. No host may be running, since its interface would go with the old network.
pub(super) fn make(lab: &Lab, wanted: u8) -> Result<Ipv4Addr, Problem> {
    remove(lab)?;
    let space = lab.dir.join("netns");
    File::create(&space).map_err(|error| file_problem("write", &space, &error))?;
    let option = format!("--net={}", space.display());
    lab.run(
        "unshare",
        [&option, "ip", "link", "add", "lab", "type", "bridge", "stp_state", "0", "forward_delay", "0"],
    )?;
    inside(lab, &["link", "set", "lab", "up"])?;
    let interface = lab.interface();
    lab.run(
        "ip",
        ["link", "add", &interface, "type", "veth", "peer", "name", "machine", "netns", &space.to_string_lossy()],
    )?;
    inside(lab, &["link", "set", "machine", "master", "lab", "up"])?;
    // IPv6 would only make neighbours of labs out of link-local addresses.
    lab.run("ip", ["link", "set", &interface, "addrgenmode", "none"])?;

    // Labs that come up at once choose one after the other: whoever holds this lock has either no address yet or shows it.
    let held = Path::new("/run/larder-lab.lock");
    let _choosing = lock::exclusive(held)?;
    let routes = lab.run("ip", ["-4", "-o", "route", "show", "table", "all"])?;
    let addresses = lab.run("ip", ["-4", "-o", "address", "show"])?;
    let range = free_range(wanted, &format!("{routes}\n{addresses}")).ok_or_else(|| {
        Problem::error(
            "lab-addresses",
            "every address range for labs, in 10.231.0.0/16 and 198.18.0.0/15, overlaps with a route of this machine",
            "Look at `ip route` and take away what covers these, or end other labs with `larder lab down`.",
        )
    })?;
    lab.run("ip", ["address", "add", &format!("{}/24", address(range, MACHINE)), "dev", &interface])?;
    lab.run("ip", ["link", "set", &interface, "up"])?;
    Ok(range)
}

/// Takes the network away, whatever there is of it.
pub(super) fn remove(lab: &Lab) -> Result<(), Problem> {
    let interface = lab.interface();
    if Path::new("/sys/class/net").join(&interface).exists() {
        lab.run("ip", ["link", "delete", &interface])?;
    }
    let space = lab.dir.join("netns");
    while is_mount_point(&space)? {
        lab.run("umount", [&space])?;
    }
    match fs::remove_file(&space) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_problem("remove", &space, &error)),
        _ => Ok(()),
    }
}

/// Takes away the interface of a host that has ended: the kernel does so too, but some time later.
pub(super) fn remove_host(lab: &Lab, host: &HostRecord) {
    // An error means that the kernel was faster.
    let _ = inside(lab, &["link", "delete", &format!("h{}", host.number)]);
    // As long as the machine believes to know the way, a connection to the host hangs instead of failing.
    let _ = lab.run("ip", ["neighbour", "flush", "to", &host.address, "dev", &lab.interface()]);
}

/// `ip` in the lab's own network namespace.
fn inside(lab: &Lab, words: &[&str]) -> Result<String, Problem> {
    let option = format!("--net={}", lab.dir.join("netns").display());
    lab.run("nsenter", [option.as_str(), "ip"].iter().chain(words))
}

fn is_mount_point(path: &Path) -> Result<bool, Problem> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(|error| file_problem("read", table, &error))?;
    let wanted = path.to_string_lossy();
    Ok(text.lines().filter_map(|line| line.split(' ').nth(4)).any(|point| unescaped(point) == wanted))
}

/// A path of mountinfo, where blanks and backslashes are octal numbers.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// The first range from `wanted` on that overlaps with no address or route in the output of `ip`.
fn free_range(wanted: u8, used: &str) -> Option<Ipv4Addr> {
    let used: Vec<(u32, u32)> = used.split_whitespace().filter_map(block).collect();
    let ranges = SPACES
        .iter()
        .flat_map(|[a, b]| (0..=u8::MAX).map(move |step| Ipv4Addr::new(*a, *b, wanted.wrapping_add(step), 0)));
    ranges.into_iter().find(|range| {
        let first = u32::from(*range);
        used.iter().all(|(low, high)| *high < first || first + 255 < *low)
    })
}

/// First and last address of `10.1.2.3` or `10.1.0.0/16`; `None` for any other word.
fn block(word: &str) -> Option<(u32, u32)> {
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => (address, length.parse::<u32>().ok().filter(|length| *length <= 32)?),
        None => (word, 32),
    };
    let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
    // The default route leads everywhere and owns nothing.
    (length > 0).then_some((address & !hosts, address | hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_free_if_no_route_or_address_touches_it() {
        for (wanted, used, expected) in [
            (7, "", Some("10.231.7.0")),
            (7, "default via 192.0.2.1 dev eth0", Some("10.231.7.0")),
            (7, "10.231.7.0/24 dev larder0 proto kernel scope link src 10.231.7.1", Some("10.231.8.0")),
            (7, "10.231.7.200 dev tun0", Some("10.231.8.0")),
            (7, "10.231.0.0/20 via 10.0.0.1", Some("10.231.16.0")),
            (255, "10.231.255.0/24 dev x", Some("10.231.0.0")),
            (7, "inet 10.231.6.1/24 brd 10.231.6.255", Some("10.231.7.0")),
            (7, "10.0.0.0/8 via 192.0.2.9", Some("198.18.7.0")),
            (7, "10.0.0.0/8 via 192.0.2.9\n198.18.0.0/15 via 192.0.2.9", None),
            (7, "0.0.0.0/0 via 192.0.2.9", Some("10.231.7.0")),
        ] {
            let expected = expected.map(|text| text.parse().expect("an address"));
            assert_eq!(free_range(wanted, used), expected, "{wanted} {used}");
        }
    }
}
