//! The live view: volumes with state, size, free space and images; media storages with their files; hosts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::{Address, HostName, Size, escape_line};

use super::style::{Ink, Style, aligned, count};

/// How something stands on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    Ok,
    Missing,
    /// Something else is in its place.
    WrongSource,
    /// It works, with less redundancy or other attributes than wanted.
    Degraded,
    /// The server has forgotten it (ESTALE).
    Stale,
    /// It does not answer.
    Unresponsive,
    /// Nobody knows.
    Unknown,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Missing => "missing",
            Health::WrongSource => "wrong-source",
            Health::Degraded => "degraded",
            Health::Stale => "stale",
            Health::Unresponsive => "unresponsive",
            Health::Unknown => "unknown",
        }
    }

    fn ink(self) -> Ink {
        match self {
            Health::Ok => Ink::Good,
            Health::Degraded => Ink::Attention,
            _ => Ink::Bad,
        }
    }
}

/// A volume on one host; sizes in bytes, `None` where nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeOnHost {
    pub state: Health,
    pub size: Option<u64>,
    pub free: Option<u64>,
    /// What the file system says of itself, where that is of interest: `uuid`, `slots`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub filesystem: BTreeMap<String, String>,
    pub message: Option<String>,
}

/// An image of the configuration in a volume; sizes in bytes, `None` where there is no file or nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageStatus {
    /// The name of the file.
    pub name: String,
    /// What the guest sees.
    pub size: Option<u64>,
    /// What it takes of the volume.
    pub allocated: Option<u64>,
    pub format: Option<String>,
    /// Those on which it is as told here.
    pub hosts: Vec<HostName>,
    pub state: Health,
    /// Why it is not ok.
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeStatus {
    pub address: Address,
    pub kind: String,
    pub mount_point: String,
    pub hosts: BTreeMap<HostName, VolumeOnHost>,
    pub images: Vec<ImageStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MediaOnHost {
    pub state: Health,
    /// What came of the last operation.
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MediaFile {
    pub name: String,
    pub size: Option<u64>,
    /// `iso`, `fvm` or `other`.
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MediaStatus {
    pub address: Address,
    pub server: String,
    pub share: String,
    pub username: String,
    pub hosts: BTreeMap<HostName, MediaOnHost>,
    pub files: Vec<MediaFile>,
}

/// A disk that a target gives a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskStatus {
    /// The name that lasts, below /dev.
    pub device: String,
    /// In hexadecimal digits.
    pub wwn: Option<String>,
    /// Bytes.
    pub size: u64,
    pub paths: usize,
    pub working_paths: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetOnHost {
    pub state: Health,
    pub message: Option<String>,
    /// How each portal is: `logged in`, `logged out`, `failed`.
    pub portals: BTreeMap<String, String>,
    pub disks: Vec<DiskStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetStatus {
    pub address: Address,
    pub iqn: String,
    pub hosts: BTreeMap<HostName, TargetOnHost>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostStatus {
    pub name: HostName,
    pub state: Health,
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Status {
    pub volumes: Vec<VolumeStatus>,
    pub media: Vec<MediaStatus>,
    pub targets: Vec<TargetStatus>,
    pub hosts: Vec<HostStatus>,
}

/// The shape that `state/status.schema.json` publishes.
pub fn json(status: &Status) -> Value {
    json!({
        "format_version": "1.0",
        "volumes": status.volumes,
        "media": status.media,
        "targets": status.targets,
        "hosts": status.hosts,
    })
}

pub fn render(status: &Status, style: Style) -> String {
    let mut sections: Vec<Vec<String>> = Vec::new();
    for volume in &status.volumes {
        let mut lines = vec![heading(&volume.address, &escape_line(&volume.mount_point), style)];
        let told = volume.hosts.iter().map(|(host, one)| {
            let room = match (one.size, one.free) {
                (None, None) => String::new(),
                (size, free) => format!("{} of {} free", bytes(free), bytes(size)),
            };
            let of_itself = one.filesystem.iter().map(|(name, value)| format!("{name} {}", escape_line(value)));
            let of_itself = of_itself.collect::<Vec<_>>().join(", ");
            (host, one.state, vec![room, of_itself, message(one.message.as_ref())])
        });
        lines.extend(by_state(told, style));
        if !volume.images.is_empty() {
            let head = ["image", "format", "size", "allocated"].map(str::to_owned).to_vec();
            let rows = volume.images.iter().map(|image| {
                let format = image.format.as_deref().map_or("?".to_owned(), escape_line);
                vec![escape_line(&image.name), format, bytes(image.size), bytes(image.allocated), trouble(image, style)]
            });
            lines.extend(indented(&[head].into_iter().chain(rows).collect::<Vec<_>>(), 4));
        }
        sections.push(lines);
    }
    for media in &status.media {
        let from = escape_line(&format!("//{}/{} as {}", media.server, media.share, media.username));
        let mut lines = vec![heading(&media.address, &from, style)];
        let told = media.hosts.iter().map(|(host, one)| (host, one.state, vec![message(one.message.as_ref())]));
        lines.extend(by_state(told, style));
        if !media.files.is_empty() {
            let head = ["file", "kind", "size"].map(str::to_owned).to_vec();
            let rows =
                media.files.iter().map(|file| vec![escape_line(&file.name), escape_line(&file.kind), bytes(file.size)]);
            lines.extend(indented(&[head].into_iter().chain(rows).collect::<Vec<_>>(), 4));
        }
        sections.push(lines);
    }
    sections.extend(status.targets.iter().map(|target| target_lines(target, style)));
    if !status.hosts.is_empty() {
        let told = status.hosts.iter().map(|host| (&host.name, host.state, vec![message(host.message.as_ref())]));
        let mut lines = vec![style.paint(Ink::Strong, "hosts")];
        lines.extend(by_state(told, style));
        sections.push(lines);
    }
    sections.push(vec![tally(status)]);
    sections.iter().map(|lines| lines.join("\n") + "\n").collect::<Vec<_>>().join("\n")
}

/// A target by host, and its disks, those that several hosts see alike in one line.
fn target_lines(target: &TargetStatus, style: Style) -> Vec<String> {
    let mut lines = vec![heading(&target.address, &escape_line(&target.iqn), style)];
    let told = target.hosts.iter().map(|(host, one)| {
        let works = one.portals.values().filter(|state| *state == "logged in").count();
        let portals = match one.portals.len() {
            0 => String::new(),
            all => format!("{works} of {} logged in", count(all, "portal")),
        };
        (host, one.state, vec![portals, message(one.message.as_ref())])
    });
    lines.extend(by_state(told, style));
    let mut disks: Vec<(&DiskStatus, Vec<String>)> = Vec::new();
    for (host, disk) in target.hosts.iter().flat_map(|(host, one)| one.disks.iter().map(move |disk| (host, disk))) {
        let host = escape_line(host.as_str());
        match disks.iter_mut().find(|(known, _)| *known == disk) {
            Some((_, hosts)) => hosts.push(host),
            None => disks.push((disk, vec![host])),
        }
    }
    if !disks.is_empty() {
        let head = ["disk", "size", "paths", "on"].map(str::to_owned).to_vec();
        let rows = disks.iter().map(|(disk, hosts)| {
            let paths = match disk.paths == disk.working_paths {
                true => disk.paths.to_string(),
                false => style.paint(Ink::Attention, &format!("{} of {}", disk.working_paths, disk.paths)),
            };
            vec![escape_line(&disk.device), bytes(Some(disk.size)), paths, hosts.join(", ")]
        });
        lines.extend(indented(&[head].into_iter().chain(rows).collect::<Vec<_>>(), 4));
    }
    lines
}

/// How an image is not as it should be, and where.
fn trouble(image: &ImageStatus, style: Style) -> String {
    if image.state == Health::Ok {
        return String::new();
    }
    let hosts: Vec<_> = image.hosts.iter().map(|host| escape_line(host.as_str())).collect();
    let state = style.paint(image.state.ink(), image.state.as_str());
    let message = message(image.message.as_ref());
    format!("{state} on {}  {message}", hosts.join(", ")).trim_end().to_owned()
}

fn heading(address: &Address, more: &str, style: Style) -> String {
    format!("{}  {more}", style.paint(Ink::Strong, &escape_line(&address.to_string())))
}

fn message(text: Option<&String>) -> String {
    text.map_or_else(String::new, |text| escape_line(text))
}

fn bytes(number: Option<u64>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| Size(number).rounded())
}

fn indented(rows: &[Vec<String>], columns: usize) -> Vec<String> {
    aligned(rows).into_iter().map(|line| format!("{}{line}", " ".repeat(columns))).collect()
}

/// A line for each host, those of which the same is told together.
fn by_state<'a>(told: impl Iterator<Item = (&'a HostName, Health, Vec<String>)>, style: Style) -> Vec<String> {
    let mut groups: Vec<(Vec<String>, Health, Vec<String>)> = Vec::new();
    for (host, state, cells) in told {
        let host = escape_line(host.as_str());
        match groups.iter_mut().find(|(_, other, same)| *other == state && *same == cells) {
            Some((hosts, _, _)) => hosts.push(host),
            None => groups.push((vec![host], state, cells)),
        }
    }
    let rows: Vec<_> = groups
        .iter()
        .map(|(hosts, state, cells)| {
            let cells = cells.iter().filter(|cell| !cell.is_empty()).cloned().collect::<Vec<_>>().join("  ");
            vec![hosts.join(", "), style.paint(state.ink(), state.as_str()), cells]
        })
        .collect();
    indented(&rows, 2)
}

fn is_ok(mut states: impl Iterator<Item = Health>) -> bool {
    states.all(|state| state == Health::Ok)
}

fn tally(status: &Status) -> String {
    let part = |noun: &str, states: Vec<bool>| {
        let bad = states.iter().filter(|ok| !**ok).count();
        match bad {
            0 => format!("{} ok", count(states.len(), noun)),
            _ => format!("{bad} of {} not ok", count(states.len(), noun)),
        }
    };
    let volumes = status.volumes.iter().map(|volume| is_ok(volume.hosts.values().map(|one| one.state))).collect();
    let media = status.media.iter().map(|media| is_ok(media.hosts.values().map(|one| one.state))).collect();
    let targets = status.targets.iter().map(|target| is_ok(target.hosts.values().map(|one| one.state))).collect();
    let hosts = status.hosts.iter().map(|host| host.state == Health::Ok).collect();
    let mut images: BTreeMap<_, bool> = BTreeMap::new();
    for (volume, image) in
        status.volumes.iter().flat_map(|volume| volume.images.iter().map(move |image| (volume, image)))
    {
        *images.entry((&volume.address, &image.name)).or_insert(true) &= image.state == Health::Ok;
    }
    let images = images.into_values().collect();
    let parts = [
        part("volume", volumes),
        part("image", images),
        part("media storage", media),
        part("target", targets),
        part("host", hosts),
    ];
    let told: Vec<_> = parts.iter().filter(|part| !part.starts_with("0 ")).cloned().collect();
    match told.is_empty() {
        true => "Nothing is configured.".to_owned(),
        false => format!("{}.", told.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::view::sample::{address, host};
    use crate::view::schema::violations;

    pub(in crate::view) const SCHEMA: &str = include_str!("../../state/status.schema.json");

    fn status() -> Status {
        let volume = |state, size, free, message: Option<&str>| VolumeOnHost {
            state,
            size,
            free,
            filesystem: BTreeMap::new(),
            message: message.map(str::to_owned),
        };
        let gib = |number: u64| Some(number << 30);
        let image = |name: &str, size, allocated, format: Option<&str>| ImageStatus {
            name: name.to_owned(),
            size,
            allocated,
            format: format.map(str::to_owned),
            hosts: vec![host("hv1"), host("hv2")],
            state: Health::Ok,
            message: None,
        };
        let target = |state, message: Option<&str>, second: &str, working_paths| TargetOnHost {
            state,
            message: message.map(str::to_owned),
            portals: [("10.0.0.5:3260", "logged in"), ("10.0.1.5:3260", second)]
                .map(|(portal, state)| (portal.to_owned(), state.to_owned()))
                .into(),
            disks: vec![DiskStatus {
                device: "/dev/disk/by-id/wwn-0x6001405000000a1".to_owned(),
                wwn: Some("6001405000000a1".to_owned()),
                size: 40 << 30,
                paths: 2,
                working_paths,
            }],
        };
        let lost =
            ImageStatus { hosts: vec![host("hv2")], state: Health::Missing, ..image("db1.qcow2", None, None, None) };
        let short = ImageStatus {
            state: Health::Degraded,
            message: Some("size is 40 GiB, not 50\u{1b} GiB".to_owned()),
            ..image("odd", None, Some(0), None)
        };
        Status {
            volumes: vec![
                VolumeStatus {
                    address: address("external_volume.nfs"),
                    kind: "external_volume".into(),
                    mount_point: "/srv/nfs".into(),
                    hosts: BTreeMap::from([
                        (host("hv1"), volume(Health::Ok, gib(900), gib(120), None)),
                        (host("hv2"), volume(Health::Ok, gib(900), gib(120), None)),
                        (
                            host("hv3"),
                            volume(
                                Health::WrongSource,
                                None,
                                None,
                                Some("ext4 \x1b[1m/dev/sdb and not nfs 10.0.0.5:/export"),
                            ),
                        ),
                        (host("hv10"), volume(Health::Unresponsive, None, None, Some("no answer within 5 s"))),
                    ]),
                    images: vec![
                        image("web1.qcow2", gib(40), gib(3), Some("qcow2")),
                        image("日本.raw", gib(400), None, Some("raw")),
                        lost,
                        short,
                    ],
                },
                VolumeStatus {
                    address: address("external_volume.ssd"),
                    kind: "external_volume".into(),
                    mount_point: "/srv/ssd".into(),
                    hosts: BTreeMap::from([(host("hv1"), volume(Health::Ok, gib(100), gib(100), None))]),
                    images: vec![],
                },
            ],
            media: vec![MediaStatus {
                address: address("media_storage.iso"),
                server: "10.0.0.5".into(),
                share: "media".into(),
                username: "larder".into(),
                hosts: BTreeMap::from([
                    (host("hv1"), MediaOnHost { state: Health::Ok, message: None }),
                    (
                        host("hv2"),
                        MediaOnHost {
                            state: Health::Missing,
                            message: Some("mount error(13): Permission denied".into()),
                        },
                    ),
                ]),
                files: vec![MediaFile { name: "debian-12.iso".into(), size: Some(660_000_000), kind: "iso".into() }],
            }],
            targets: vec![TargetStatus {
                address: address("iscsi_target.array"),
                iqn: "iqn.2026-01.lab.example:array".into(),
                hosts: BTreeMap::from([
                    (host("hv1"), target(Health::Ok, None, "logged in", 2)),
                    (host("hv2"), target(Health::Degraded, Some("the session is down (FAILED)"), "failed", 1)),
                    (
                        host("hv3"),
                        TargetOnHost {
                            state: Health::Unknown,
                            message: Some("connect timed out after 10 s".into()),
                            portals: BTreeMap::new(),
                            disks: vec![],
                        },
                    ),
                ]),
            }],
            hosts: vec![
                HostStatus { name: host("hv1"), state: Health::Ok, message: None },
                HostStatus { name: host("hv2"), state: Health::Ok, message: None },
                HostStatus {
                    name: host("hv3"),
                    state: Health::Unknown,
                    message: Some("connect timed out after 10 s".into()),
                },
            ],
        }
    }

    #[test]
    fn the_live_view_reads_by_volume_and_host() {
        insta::assert_snapshot!(render(&status(), Style::Plain), @r"
        external_volume.nfs  /srv/nfs
          hv1, hv2  ok            120.0 GiB of 900.0 GiB free
          hv10      unresponsive  no answer within 5 s
          hv3       wrong-source  ext4 \x1b[1m/dev/sdb and not nfs 10.0.0.5:/export
            image       format  size       allocated
            web1.qcow2  qcow2   40.0 GiB   3.0 GiB
            日本.raw    raw     400.0 GiB  ?
            db1.qcow2   ?       ?          ?          missing on hv2
            odd         ?       ?          0 B        degraded on hv1, hv2  size is 40 GiB, not 50\x1b GiB

        external_volume.ssd  /srv/ssd
          hv1  ok  100.0 GiB of 100.0 GiB free

        media_storage.iso  //10.0.0.5/media as larder
          hv1  ok
          hv2  missing  mount error(13): Permission denied
            file           kind  size
            debian-12.iso  iso   629.4 MiB

        iscsi_target.array  iqn.2026-01.lab.example:array
          hv1  ok        2 of 2 portals logged in
          hv2  degraded  1 of 2 portals logged in  the session is down (FAILED)
          hv3  unknown   connect timed out after 10 s
            disk                                   size      paths   on
            /dev/disk/by-id/wwn-0x6001405000000a1  40.0 GiB  2       hv1
            /dev/disk/by-id/wwn-0x6001405000000a1  40.0 GiB  1 of 2  hv2

        hosts
          hv1, hv2  ok
          hv3       unknown  connect timed out after 10 s

        1 of 2 volumes not ok, 2 of 4 images not ok, 1 of 1 media storage not ok, 1 of 1 target not ok, 1 of 3 hosts not ok.
        ");
        assert_eq!(render(&Status::default(), Style::Plain), "Nothing is configured.\n");
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let coloured = render(&status(), Style::Coloured);
        assert!(coloured.contains("\x1b[31mwrong-source"), "{coloured:?}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), render(&status(), Style::Plain));
    }

    #[test]
    fn machines_get_what_is_published() {
        for status in [status(), Status::default()] {
            assert_eq!(violations(SCHEMA, &json(&status)), Vec::<String>::new());
        }
        let example = json!({
            "volumes": [{
                "address": "external_volume.nfs", "kind": "external_volume", "mount_point": "/srv/nfs",
                "hosts": { "hv1": { "state": "ok", "size": 1, "free": 1 } },
                "images": [
                    { "name": "a", "size": 1, "allocated": 1, "format": "raw" },
                    { "name": "b", "size": null, "allocated": null, "format": null, "hosts": ["hv1"], "state": "missing",
                      "message": "m" },
                ],
            }],
            "media": [{
                "address": "media_storage.iso", "server": "s", "share": "m", "username": "u",
                "hosts": { "hv1": { "state": "stale", "message": "m" } },
                "files": [{ "name": "a", "size": 1, "kind": "iso" }],
            }],
            "hosts": [{ "name": "hv1", "state": "degraded", "message": "m" }],
        });
        assert_eq!(violations(SCHEMA, &example), Vec::<String>::new());
        let mut wrong = example;
        wrong["hosts"][0]["state"] = json!("fine");
        assert_eq!(violations(SCHEMA, &wrong), ["$.hosts[0].state: \"fine\" is none of its values"]);
    }
}
