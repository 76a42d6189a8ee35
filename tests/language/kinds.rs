//! A few kinds of resources in small, for tests of the language alone.

use larder::kinds::Kind;
use larder::kinds::schema::{AttributeSchema, BlockSchema, Schema, Type};
use larder::model::block::Attributes as _;
use larder::model::{Block, Blocks, Datum, HostName, Problem, Problems};

struct Table {
    name: &'static str,
    schema: Schema,
    complete: fn(&mut Block, &Blocks) -> Problems,
}

impl Kind for Table {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self) -> &'static Schema {
        KINDS.iter().find(|kind| kind.name == self.name).map(|kind| &kind.schema).expect("each kind is in the table")
    }

    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems {
        (self.complete)(block, all)
    }

    fn hosts(&self, block: &Block, _all: &Blocks) -> Vec<HostName> {
        block.resources("hosts").iter().map(|host| HostName(host.default_name())).collect()
    }
}

use AttributeSchema as A;

const VOLUMES: &[&str] = &["external_volume"];

static KINDS: [Table; 4] = [
    Table {
        name: "host",
        schema: Schema {
            attributes: &[
                A::optional("address", Type::Text, "Name or address of the machine."),
                A::optional("port", Type::Integer, "Port of sshd."),
                A::optional("connection", Type::Text, "How it is reached.").one_of(&["ssh", "local"]),
                A::optional("connect_timeout", Type::Duration, "How long to wait for it."),
                A::optional("identity_file", Type::File, "Key."),
                A::optional("labels", Type::Any, "Anything."),
            ],
            blocks: &[],
            doc: "",
        },
        complete: |block, _| {
            block.default_to("connect_timeout", Datum::Duration(10_000));
            Vec::new()
        },
    },
    Table {
        name: "image_storage",
        schema: Schema {
            attributes: &[
                A::required("hosts", Type::Resources(&["host"]), "Members."),
                A::optional("root", Type::Path, "Parent of mount points."),
                A::optional("mode", Type::Mode, "Mode."),
            ],
            blocks: &[],
            doc: "",
        },
        complete: |block, _| {
            let root = format!("/var/lib/larder/storages/{}", block.address.default_name());
            block.default_to("root", Datum::text(root));
            Vec::new()
        },
    },
    Table {
        name: "external_volume",
        schema: Schema {
            attributes: &[
                A::required("storage", Type::Resource(&["image_storage"]), "The storage it is part of."),
                A::optional("mount_point", Type::Path, "Where."),
                A::optional("owner", Type::Text, "Owner."),
                A::optional("mode", Type::Mode, "Mode."),
                A::optional("options", Type::Texts, "Mount options."),
            ],
            blocks: &[
                BlockSchema { name: "directory", many: false, attributes: &[], doc: "" },
                BlockSchema {
                    name: "nfs",
                    many: false,
                    attributes: &[
                        A::required("server", Type::Text, "Server."),
                        A::required("export", Type::Path, "Export."),
                    ],
                    doc: "",
                },
                BlockSchema {
                    name: "cifs",
                    many: false,
                    attributes: &[A::required("password", Type::Text, "Password.").secret()],
                    doc: "",
                },
                BlockSchema {
                    name: "brick",
                    many: true,
                    attributes: &[
                        A::required("host", Type::Resource(&["host"]), "Host."),
                        A::required("path", Type::Path, "Path."),
                    ],
                    doc: "",
                },
            ],
            doc: "",
        },
        complete: |block, all| {
            let storage = block.resource("storage").and_then(|address| all.get(address));
            if block.is_unknown("storage") || storage.is_some_and(|storage| storage.is_unknown("root")) {
                block.default_to("mount_point", Datum::Unknown);
                return Vec::new();
            }
            let Some(root) = storage.and_then(|storage| storage.text("root")) else {
                return vec![Problem::error("test", "the storage was not completed before the volume", "")];
            };
            let mount_point = format!("{root}/{}", block.address.default_name());
            block.default_to("mount_point", Datum::text(mount_point));
            Vec::new()
        },
    },
    Table {
        name: "image",
        schema: Schema {
            attributes: &[
                A::required("volume", Type::Resource(VOLUMES), "The volume it is in."),
                A::optional("name", Type::Text, "File name."),
                A::required("format", Type::Text, "Format.").one_of(&["raw", "qcow2"]),
                A::optional("size", Type::Size, "Size."),
                A::optional("backing", Type::Resource(&["image"]), "Backing image."),
                A::optional("template", Type::Bool, "Template."),
                A::optional("numbers", Type::IntegerMap, "Numbers."),
            ],
            blocks: &[],
            doc: "",
        },
        complete: |block, _| {
            let name = format!("{}.{}", block.address.default_name(), block.text("format").unwrap_or("raw"));
            block.default_to("name", Datum::text(name));
            Vec::new()
        },
    },
];

/// The kinds of the tests.
pub(crate) fn kinds() -> &'static [&'static dyn Kind] {
    static REFERENCES: [&dyn Kind; 4] = [&KINDS[0], &KINDS[1], &KINDS[2], &KINDS[3]];
    &REFERENCES
}
