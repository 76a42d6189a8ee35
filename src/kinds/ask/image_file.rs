//! A disk image as it lies on the host: its inode, and what its header says. Headers are read here, not by qemu-img:
//! that costs a program start for each image, and takes a lock that a running guest has.

use crate::model::{Guard, HostFacts, Question, Size};

use super::path::{self, FileType, Inode};
use super::{Known, failure};

/// An image that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    pub inode: Inode,
    /// Bytes of the file.
    pub length: u64,
    /// Bytes on disk.
    pub allocated: u64,
    pub header: Header,
}

/// What the first bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// Nothing that is known: raw.
    Raw,
    Qcow2 {
        virtual_size: Size,
        backing: Option<String>,
        /// The format that it says its backing file has.
        backing_format: Option<String>,
        /// What else its header asks for, that Larder does not do.
        needs: Vec<&'static str>,
    },
    /// A qcow2 magic, followed by something that Larder does not understand.
    Unreadable(String),
}

impl ImageFile {
    pub fn format(&self) -> &'static str {
        match self.header {
            Header::Raw => "raw",
            Header::Qcow2 { .. } | Header::Unreadable(_) => "qcow2",
        }
    }

    /// The size that a guest sees.
    pub fn virtual_size(&self) -> Size {
        match &self.header {
            Header::Qcow2 { virtual_size, .. } => *virtual_size,
            _ => Size(self.length),
        }
    }
}

pub fn question(path: &str) -> Question {
    Question::new(["image_facts", path])
}

/// The image at a path; `None` where there is no file.
pub fn read(facts: &HostFacts, path: &str) -> Known<Option<ImageFile>> {
    let reply = facts.said(&question(path))?;
    if reply.status == 0 {
        return parse(&reply.out).map(Some).ok_or_else(|| "the answer about the image makes no sense".to_owned());
    }
    let absent = ["No such file or directory", "Not a directory"];
    match absent.iter().any(|text| reply.err.trim_end().ends_with(text)) {
        true => Ok(None),
        false => Err(failure(&reply)),
    }
}

/// A guard that holds while the file at the path is the one that was seen (or is still absent).
pub fn guard(facts: &HostFacts, path: &str) -> Known<Guard> {
    let reply = facts.said(&question(path))?;
    Ok(Guard { what: format!("the file {path}"), ask: question(path), status: reply.status, out: reply.out })
}

/// Asks which file is at a path and whether its content is that of before, whoever owns it.
pub fn content_question(path: &str) -> Question {
    Question::new(["stat", "-c", "%F, inode %i, %s bytes, written %y", "--", path])
}

/// A guard that holds while the file at `path` has the content that was seen, maybe by another name, at `seen_at`.
pub fn content_guard(facts: &HostFacts, path: &str, seen_at: &str) -> Known<Guard> {
    let reply = facts.said(&content_question(seen_at))?;
    if reply.status != 0 {
        return Err(failure(&reply));
    }
    Ok(Guard { what: format!("the content of {path}"), ask: content_question(path), status: 0, out: reply.out })
}

fn parse(text: &str) -> Option<ImageFile> {
    parse_with_bytes(text).map(|(file, _)| file)
}

/// The image and its first bytes.
// The first line is stat's, with size, blocks and block size at its end; then the bytes of the header as hexadecimal pairs.
pub(super) fn parse_with_bytes(text: &str) -> Option<(ImageFile, Vec<u8>)> {
    let (first, rest) = text.split_once('\n')?;
    let words: Vec<_> = first.split(' ').collect();
    let (inode, sizes) = words.split_at_checked(5)?;
    let inode = path::parse_inode(&inode.join(" "))?;
    let [length, blocks, block] = sizes else { return None };
    let (length, blocks, block): (u64, u64, u64) = (length.parse().ok()?, blocks.parse().ok()?, block.parse().ok()?);
    let bytes = match inode.file_type {
        FileType::Regular => {
            let pairs = rest.split_ascii_whitespace().map(|pair| u8::from_str_radix(pair, 16));
            pairs.collect::<Result<Vec<_>, _>>().ok()?
        }
        _ => Vec::new(),
    };
    let header = read_header(&bytes);
    Some((ImageFile { inode, length, allocated: blocks.checked_mul(block)?, header }, bytes))
}

/// Reads the header of qcow2 as QEMU's docs/interop/qcow2.txt describes it: magic, version, offset and length of the backing
/// file's name, and the virtual size, all big-endian.
pub fn read_header(bytes: &[u8]) -> Header {
    if !bytes.starts_with(b"QFI\xfb") {
        return Header::Raw;
    }
    let number = |at: usize, length: usize| -> Option<u64> {
        let slice = bytes.get(at..at.checked_add(length)?)?;
        Some(slice.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let fields = (number(4, 4), number(8, 8), number(16, 4), number(24, 8));
    let (Some(version), Some(backing_at), Some(backing_length), Some(size)) = fields else {
        return Header::Unreadable("the header is cut off".to_owned());
    };
    if !(2..=3).contains(&version) {
        return Header::Unreadable(format!("qcow2 version {version}"));
    }
    let backing = match backing_at {
        0 => None,
        _ => {
            let name =
                usize::try_from(backing_at).ok().and_then(|at| bytes.get(at..at.checked_add(backing_length as usize)?));
            match name {
                Some(name) => Some(String::from_utf8_lossy(name).into_owned()),
                None => return Header::Unreadable("the name of the backing file lies too far inside".to_owned()),
            }
        }
    };
    // Bits of the incompatible features: 0 dirty, 3 compression type and 4 extended L2 entries change nothing for us.
    let features = if version == 3 { number(72, 8).unwrap_or(u64::MAX) } else { 0 };
    let table: [(u64, &str); 3] = [
        (1 << 1, "is marked as corrupt"),
        (1 << 2, "keeps its data in another file"),
        (!0x1f, "uses features that are not known"),
    ];
    let needs = table.into_iter().filter(|(bits, _)| features & bits != 0).map(|(_, what)| what).collect();
    let backing_format =
        backing.as_ref().and_then(|_| extension(bytes, if version == 3 { number(100, 4)? } else { 72 }));
    Header::Qcow2 { virtual_size: Size(size), backing, backing_format, needs }
}

/// The name of the backing file's format, out of the header extensions that follow the header: type, length, and data up to the
/// next multiple of 8 bytes.
fn extension(bytes: &[u8], header_length: u64) -> Option<String> {
    const BACKING_FORMAT: u32 = 0xe279_2aca;
    let mut rest = bytes.get(usize::try_from(header_length).ok()?..)?;
    loop {
        let (head, data) = rest.split_at_checked(8)?;
        let number = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let (kind, length) = (number(0)?, number(4)? as usize);
        match kind {
            0 => return None,
            BACKING_FORMAT => return Some(String::from_utf8_lossy(data.get(..length)?).into_owned()),
            _ => rest = data.get(length.checked_next_multiple_of(8)?..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn qcow2(version: u32, backing: Option<&str>, size: u64) -> Vec<u8> {
        let mut bytes = b"QFI\xfb".to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend(if backing.is_some() { 104u64 } else { 0 }.to_be_bytes());
        bytes.extend((backing.map_or(0, str::len) as u32).to_be_bytes());
        bytes.extend(16u32.to_be_bytes());
        bytes.extend(size.to_be_bytes());
        bytes.resize(104, 0);
        bytes[100..104].copy_from_slice(&104u32.to_be_bytes());
        bytes.extend(backing.unwrap_or("").bytes());
        bytes
    }

    #[test]
    fn headers_tell_format_size_and_backing_file() {
        assert_eq!(
            read_header(&qcow2(3, None, 40 << 30)),
            Header::Qcow2 { virtual_size: Size(40 << 30), backing: None, backing_format: None, needs: vec![] }
        );
        assert_eq!(
            read_header(&qcow2(2, Some("base.qcow2"), 1 << 30)),
            Header::Qcow2 {
                virtual_size: Size(1 << 30),
                backing: Some("base.qcow2".into()),
                backing_format: None,
                needs: vec![]
            }
        );
        let mut elsewhere = qcow2(3, None, 1 << 30);
        elsewhere[79] = 0b100;
        assert!(
            matches!(read_header(&elsewhere), Header::Qcow2 { needs, .. } if needs == ["keeps its data in another file"])
        );
        assert_eq!(read_header(b""), Header::Raw);
        assert!(matches!(read_header(&qcow2(9, None, 1)), Header::Unreadable(_)));
        assert!(matches!(read_header(&qcow2(3, None, 1)[..20]), Header::Unreadable(_)));
    }

    #[test]
    fn the_format_of_the_backing_file_stands_in_an_extension() {
        let table: [(&[u8], Option<&str>); 5] = [
            (b"\xe2\x79\x2a\xca\0\0\0\x03raw\0\0\0\0\0", Some("raw")),
            (b"\x68\x03\xf8\x57\0\0\0\x01x\0\0\0\0\0\0\0\xe2\x79\x2a\xca\0\0\0\x05qcow2", Some("qcow2")),
            (b"\0\0\0\0\0\0\0\0\xe2\x79\x2a\xca\0\0\0\x03raw", None),
            (b"\xe2\x79\x2a\xca\xff\xff\xff\xffraw", None),
            (b"", None),
        ];
        for (extensions, expected) in table {
            let bytes = [&[0; 104], extensions].concat();
            assert_eq!(extension(&bytes, 104).as_deref(), expected, "{extensions:?}");
        }
        assert_eq!(extension(&[0; 8], u64::MAX), None);
    }

    #[test]
    fn an_answer_is_inode_sizes_and_header() {
        let hex: String = qcow2(3, None, 1 << 20).iter().map(|byte| format!(" {byte:02x}")).collect();
        let file = parse(&format!("81b0 64055 104 2049 77 196616 392 512\n{hex}\n")).expect("an image");
        assert_eq!((file.format(), file.virtual_size(), file.allocated), ("qcow2", Size(1 << 20), 392 * 512));
        assert_eq!(file.inode.mode.to_string(), "0660");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
            let bytes = if magic { [b"QFI\xfb".as_slice(), &bytes].concat() } else { bytes };
            let _ = read_header(&bytes);
        }

        #[test]
        fn any_text_is_an_image_or_nothing(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
