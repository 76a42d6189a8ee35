//! The disk images that lie in a directory: files named like images, with what their inodes and first bytes say. The list is
//! bounded, and says how much of the directory it leaves out.

use crate::model::{HostFacts, Question};

use super::image_file::{self, ImageFile};
use super::{Known, failure};

/// The most images of one directory that are told.
pub const MOST: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// In the order of their names, as bytes.
    pub images: Vec<Listed>,
    /// Files with names of images that are not told, because there are more than [`MOST`].
    pub left: u64,
    /// Files with other names.
    pub others: u64,
}

/// One file that is named like an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// A name that is not UTF-8 has U+FFFD in it.
    pub name: String,
    pub file: Known<ImageFile>,
    /// What it is by its first bytes, where that is neither raw nor qcow2.
    pub foreign: Option<&'static str>,
}

pub fn question(directory: &str) -> Question {
    Question::new(["image_listing", directory, &MOST.to_string()])
}

pub fn read(facts: &HostFacts, directory: &str) -> Known<Listing> {
    let reply = facts.said(&question(directory))?;
    match reply.status {
        0 => parse(&reply.out).ok_or_else(|| "the listing is not whole".to_owned()),
        _ => Err(failure(&reply)),
    }
}

// Name, status and facts of each file, ended by NUL bytes, then the line `end LEFT OTHERS`.
fn parse(text: &str) -> Option<Listing> {
    let mut fields: Vec<&str> = text.split('\0').collect();
    let mut last = fields.pop()?.strip_suffix('\n')?.split(' ');
    let (word, left, others) = (last.next()?, last.next()?.parse().ok()?, last.next()?.parse().ok()?);
    if word != "end" || last.next().is_some() || !fields.len().is_multiple_of(3) {
        return None;
    }
    let listed = |field: &[&str]| match field {
        [name, "0", facts] => {
            let (file, bytes) = image_file::parse_with_bytes(facts)?;
            Some(Listed { name: (*name).to_owned(), file: Ok(file), foreign: foreign(&bytes) })
        }
        [name, status, _] => Some(Listed {
            name: (*name).to_owned(),
            file: Err(format!("it could not be read (exit status {status})")),
            foreign: None,
        }),
        _ => None,
    };
    let mut images = fields.chunks(3).map(listed).collect::<Option<Vec<_>>>()?;
    images.sort_by(|a, b| a.name.cmp(&b.name));
    Some(Listing { images, left, others })
}

/// What a file is by the magic at its beginning: image formats of other programs, and what is compressed or an archive. The first
/// sector of a raw disk holds none of these.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(usize, &[u8], &str); 14] = [
        (0, b"KDMV", "a VMDK image"),
        (0, b"COWD", "a VMDK image"),
        (0, b"# Disk DescriptorFile", "a VMDK descriptor"),
        (64, &[0x7f, 0x10, 0xda, 0xbe], "a VDI image"),
        (0, b"vhdxfile", "a VHDX image"),
        (0, b"conectix", "a VHD image"),
        (0, b"QED\0", "a QED image"),
        (0, &[0x1f, 0x8b], "compressed by gzip"),
        (0, b"\xfd7zXZ\0", "compressed by xz"),
        (0, &[0x28, 0xb5, 0x2f, 0xfd], "compressed by zstd"),
        (0, b"BZh", "compressed by bzip2"),
        (0, b"PK\x03\x04", "a zip archive"),
        (0, b"070701", "a cpio archive"),
        (257, b"ustar", "a tar archive"),
    ];
    let is = |(at, magic, _): &&(usize, &[u8], &str)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic));
    MAGIC.iter().find(is).map(|(_, _, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RAW: &str = "81b0 64055 104 2049 77 1048576 0 512\n 00 00 00 00\n";

    #[test]
    fn a_listing_is_whole_or_nothing() {
        let text = format!("odd\nname.raw\0{}\0{RAW}\0gone.img\x001\0\0end 3 12\n", 0);
        let listing = parse(&text).expect("a listing");
        assert_eq!((listing.left, listing.others), (3, 12));
        assert_eq!(
            listing.images.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["gone.img", "odd\nname.raw"]
        );
        assert!(listing.images[0].file.is_err());
        assert_eq!(listing.images[1].file.as_ref().map(|file| file.length), Ok(1 << 20));
        assert_eq!(parse("end 0 0\n"), Some(Listing::default()));
        for cut in ["", "end 0 0", "end 0\n", "x.raw\x000\0end 0 0\n"] {
            assert_eq!(parse(cut), None, "{cut:?}");
        }
        for end in (1..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert_eq!(parse(&text[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn images_of_other_programs_are_told_by_their_first_bytes() {
        let mut vdi = vec![0; 128];
        vdi[64..68].copy_from_slice(&[0x7f, 0x10, 0xda, 0xbe]);
        assert_eq!(foreign(&vdi), Some("a VDI image"));
        assert_eq!(foreign(b"KDMV\x01"), Some("a VMDK image"));
        assert_eq!(foreign(b"QFI\xfb"), None);
        assert_eq!(foreign(b""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_listing_or_nothing(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
