//! A plan for machines, in the published shape of `state/plan.schema.json`: keys may be added, none is renamed.
//! Values stand as they are; whoever prints them escapes them.

use serde_json::{Value, json};

use crate::model::{Hazard, Inverse, Step};
use crate::plan::Plan;

use super::plan::guarded;

pub fn plan(plan: &Plan) -> Value {
    json!({
        "format_version": plan.format_version,
        "larder_version": plan.larder_version,
        "hash": plan.hash,
        "complete": plan.complete,
        "operation": plan.operation,
        "summary": plan.summary,
        "targets": plan.targets,
        "changes": plan.changes,
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "files": plan.files,
        "hazards": plan.hazards.iter().map(hazard).collect::<Vec<_>>(),
        "drift": plan.drift,
        "unknown": plan.unknown,
        "rooms": plan.rooms,
        "round_trips": plan.round_trips,
        "functions": plan.functions,
        "outputs": plan.outputs,
        "output_changes": plan.output_changes,
    })
}

fn step(step: &Step) -> Value {
    let (inverse, no_inverse) = match &step.inverse {
        Inverse::By(command) => (Some(command), None),
        Inverse::None(why) => (None, Some(why)),
    };
    json!({
        "id": step.id,
        "address": step.address,
        "host": step.host,
        "action": step.action,
        "summary": step.summary,
        "command": step.command.argv,
        "stdin": step.command.stdin,
        "upload": step.command.upload,
        "after": step.after,
        "guard": step.guard.iter().map(guarded).collect::<Vec<_>>(),
        "impact": step.impact,
        "inverse": inverse.map(|command| &command.argv),
        "inverse_stdin": inverse.and_then(|command| command.stdin.as_ref()),
        "no_inverse": no_inverse,
        "rolls_back": step.rolls_back,
        "cleans_up": step.cleans_up,
        "hazards": step.hazards,
    })
}

fn hazard(hazard: &Hazard) -> Value {
    json!({
        "code": hazard.code,
        "address": hazard.address,
        "host": hazard.host,
        "message": hazard.message,
        "cure": hazard.cure,
        "accepted": hazard.accepted,
        "can_be_accepted": hazard.can_be_accepted,
        "blocks": hazard.blocks(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attribute, Connection, Datum, Mode, Reach, Size};
    use crate::state::{Placement, Record, State};
    use crate::view::sample::{self, address, block, host};
    use crate::view::schema::{violations, violations_of};

    const PLAN: &str = include_str!("../../state/plan.schema.json");
    const STATE: &str = include_str!("../../state/state.schema.json");

    #[test]
    fn every_plan_is_as_published() {
        for sample in [sample::empty(), sample::first_apply(), sample::trouble(), sample::moved()] {
            assert_eq!(violations(PLAN, &plan(&sample)), Vec::<String>::new());
        }
    }

    #[test]
    fn the_example_of_the_language_is_as_published() {
        let example = json!({
            "format_version": "1.0", "larder_version": "0.1.0", "hash": "sha256:9b0e", "complete": true,
            "summary": { "create": 2, "update": 1, "destroy": 0, "adopt": 0, "forget": 0, "unchanged": 7 },
            "changes": [{
                "address": "external_volume.nfs", "kind": "external_volume", "action": "create",
                "hosts": { "hv1": "create", "hv2": "unchanged" },
                "differences": [{ "host": "hv1", "attribute": "mode", "have": "0755", "want": "0770" }],
            }],
            "steps": [{
                "id": "x", "address": "external_volume.nfs", "host": "hv1", "action": "mount",
                "command": ["mount", "/srv"], "after": ["y"], "guard": ["z"], "impact": "none",
                "inverse": ["umount", "/srv"], "hazards": [],
            }],
            "files": [{ "host": "hv1", "path": "/etc/fstab", "diff": "" }],
            "hazards": [{
                "code": "hides-data", "address": "external_volume.nfs", "host": "hv1", "message": "m",
                "accepted": false, "can_be_accepted": true,
            }],
            "drift": [{ "address": "a.b", "host": "h", "attribute": "mode", "recorded": "1", "have": "2" }],
            "unknown": [{ "host": "hv3", "reason": "connect timed out after 10s" }],
            "round_trips": { "hv1": 1, "hv2": 1 },
        });
        assert_eq!(violations(PLAN, &example), Vec::<String>::new());
        // Every key of the example is one that Larder really writes.
        let (first, second) = (plan(&sample::first_apply()), plan(&sample::trouble()));
        let missing = |example: &Value| {
            let mut missing = Vec::new();
            lacks(example, &[&first, &second], "$", &mut missing);
            missing
        };
        assert_eq!(missing(&example), Vec::<String>::new());
        assert_eq!(missing(&json!({ "steps": [{ "gone": 1 }] })), ["$.steps[].gone"]);
    }

    /// The keys of the example that none of the real values has; maps by host are compared by their values.
    fn lacks(example: &Value, real: &[&Value], at: &str, missing: &mut Vec<String>) {
        match example {
            Value::Object(keys) => {
                for (key, inside) in keys.iter().filter(|(key, _)| !key.starts_with("hv")) {
                    let found: Vec<_> = real.iter().filter_map(|value| value.get(key)).collect();
                    match found.is_empty() {
                        true => missing.push(format!("{at}.{key}")),
                        false => lacks(inside, &found, &format!("{at}.{key}"), missing),
                    }
                }
            }
            Value::Array(items) => {
                let found: Vec<_> = real.iter().filter_map(|value| value.as_array()).flatten().collect();
                for item in items {
                    lacks(item, &found, &format!("{at}[]"), missing);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn a_broken_plan_is_not_as_published() {
        let whole = plan(&sample::trouble());
        type Spoil = fn(&mut Value);
        let breaks: &[(&str, Spoil)] = &[
            ("$: hash is missing", |value| drop(value.as_object_mut().and_then(|keys| keys.shift_remove("hash")))),
            ("$.complete: a string, not boolean", |value| value["complete"] = json!("yes")),
            ("$.summary.create: a string, not integer", |value| value["summary"]["create"] = json!("1")),
            ("$.changes[0].action: \"replace\" is none of its values", |value| {
                value["changes"][0]["action"] = json!("replace");
            }),
            ("$.steps[0]: command is missing", |value| {
                value["steps"][0].as_object_mut().and_then(|keys| keys.shift_remove("command"));
            }),
            ("$.hazards[0].code: \"x\" is none of its values", |value| value["hazards"][0]["code"] = json!("x")),
        ];
        for (expected, spoil) in breaks {
            let mut value = whole.clone();
            spoil(&mut value);
            assert_eq!(violations(PLAN, &value), [*expected]);
        }
    }

    #[test]
    fn a_move_and_a_limit_are_told_to_machines() {
        let value = plan(&sample::moved());
        assert_eq!(value["changes"][0]["action"], "move");
        assert_eq!(value["changes"][0]["moved_from"], "external_volume.disk");
        assert_eq!(value["changes"][1].get("moved_from"), None);
        assert_eq!(value["summary"]["move"], 3);
        assert_eq!(
            value["targets"],
            json!({
                "option": "target", "named": ["image.app"],
                "resources": [
                    { "address": "external_volume.fast", "why": "needed-by", "of": "image.app[\"a\"]" },
                    { "address": "image.app[\"a\"]", "why": "named" },
                    { "address": "image.app[\"b\"]", "why": "named" },
                    { "address": "image_storage.main", "why": "needed-by", "of": "external_volume.fast" },
                ],
            })
        );
        assert_eq!(plan(&sample::empty())["targets"], Value::Null);
        let mut broken = value.clone();
        broken["targets"]["option"] = json!("only");
        broken["changes"][0]["moved_from"] = json!(1);
        assert_eq!(violations(PLAN, &broken).len(), 2, "{:?}", violations(PLAN, &broken));
    }

    #[test]
    fn the_published_codes_are_all_codes() {
        let schema: Value = serde_json::from_str(PLAN).expect("a schema");
        let codes: Vec<_> = crate::model::HazardCode::all().map(crate::model::HazardCode::as_str).collect();
        assert_eq!(schema["$defs"]["hazard_code"]["enum"], json!(codes));
    }

    #[test]
    fn a_step_is_written_in_full() {
        let value = plan(&sample::first_apply());
        insta::assert_json_snapshot!(value["steps"][2], @r#"
        {
          "id": "external_volume.nfs@hv1/fstab",
          "address": "external_volume.nfs",
          "host": "hv1",
          "action": "fstab",
          "summary": "add the line of /srv/nfs to /etc/fstab",
          "command": [
            "edit_fstab",
            "10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0"
          ],
          "stdin": "first line\nsecond\tline\n",
          "upload": null,
          "after": [
            "external_volume.nfs@hv1/mkdir"
          ],
          "guard": [],
          "impact": "none",
          "inverse": [
            "edit_fstab",
            "",
            "10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0"
          ],
          "inverse_stdin": null,
          "no_inverse": null,
          "rolls_back": false,
          "cleans_up": false,
          "hazards": []
        }
        "#);
        insta::assert_json_snapshot!(value["steps"][1], @r#"
        {
          "id": "external_volume.nfs@hv1/mkdir",
          "address": "external_volume.nfs",
          "host": "hv1",
          "action": "mkdir",
          "summary": "make the directory /srv/nfs",
          "command": [
            "mkdir",
            "-p",
            "--",
            "/srv/nfs"
          ],
          "stdin": null,
          "upload": null,
          "after": [],
          "guard": [
            "/srv/nfs (which did not exist) is as seen: stat -c '%F %i' -- /srv/nfs fails with 1"
          ],
          "impact": "none",
          "inverse": [
            "rmdir",
            "--",
            "/srv/nfs"
          ],
          "inverse_stdin": null,
          "no_inverse": null,
          "rolls_back": true,
          "cleans_up": false,
          "hazards": []
        }
        "#);
    }

    #[test]
    fn the_state_is_as_published() {
        let mut volume = block("external_volume.nfs", &[("mount_point", "/srv/nfs")]);
        let values = [
            Datum::Unknown,
            Datum::Bool(true),
            Datum::Integer(-1),
            Datum::Size(Size(1 << 40)),
            Datum::Mode(Mode::new(0o770).expect("a mode")),
            Datum::Duration(10_000),
            Datum::Texts(vec!["a".into()]),
            Datum::TextMap([("a".to_owned(), "b".to_owned())].into()),
            Datum::IntegerMap([("a".to_owned(), 1)].into()),
            Datum::Any(Box::new(json!({ "rack": "a" }))),
            Datum::Resource(address("image_storage.main")),
            Datum::Resources(vec![address("host.hv1")]),
        ];
        for (index, value) in values.into_iter().enumerate() {
            volume.attributes.insert(format!("a{index}").into(), Attribute::default_value(value));
        }
        volume.attributes.insert(
            "password".into(),
            Attribute { sensitive: true, ..Attribute::default_value(Datum::Any(Box::default())) },
        );
        let attributes = volume.attributes.clone();
        volume.blocks =
            vec![crate::model::NestedBlock { name: "nfs".into(), attributes, blocks: Vec::new(), place: None }];
        volume.depends_on.insert(address("host.hv1"));
        volume.lifecycle.accept.insert(crate::model::HazardCode::HidesData);
        let placement = Placement {
            observed: [("mode".to_owned(), "0770".to_owned())].into(),
            identity: [("uuid".to_owned(), "6f1c".to_owned())].into(),
        };
        let record = Record {
            block: volume.clone(),
            pending: Some(volume.clone()),
            placements: [(host("hv1"), placement)].into(),
            formerly: [address("external_volume.old")].into(),
        };
        let connection =
            |reach| Connection { reach, becomes_root: true, connect_timeout: std::time::Duration::from_secs(10) };
        let state = State {
            lineage: Some(uuid::Uuid::nil()),
            resources: [(volume.address.clone(), record)].into(),
            outputs: [("paths".to_owned(), json!({ "nfs": "/srv/nfs" }))].into(),
            hosts: [
                (host("hv1"), connection(Reach::Ssh(crate::model::host::Ssh::default()))),
                (host("here"), connection(Reach::Local)),
            ]
            .into(),
            ..State::default()
        };
        for state in [State::default(), state.clone()] {
            let value: Value = serde_json::from_str(&state.text()).expect("JSON");
            assert_eq!(violations(STATE, &value), Vec::<String>::new());
        }
        let mut value: Value = serde_json::from_str(&state.text()).expect("JSON");
        value["resources"]["external_volume.nfs"]["password"] = json!("x");
        value["resources"]["external_volume.nfs"]["block"]["attributes"]["a1"]["value"] = json!({ "boolean": true });
        assert_eq!(
            violations(STATE, &value),
            [
                "$.resources.external_volume.nfs.block.attributes.a1.value: fits none of its forms",
                "$.resources.external_volume.nfs: password is not expected",
            ]
        );
    }

    #[test]
    fn the_check_of_schemas_knows_every_word_that_they_use() {
        for schema in [PLAN, STATE, super::super::status::tests::SCHEMA] {
            let schema: Value = serde_json::from_str(schema).expect("a schema");
            assert_eq!(violations_of(&schema), Vec::<String>::new());
        }
    }
}
