pub mod json {
    pub fn plan(p: &crate::plan::Plan) -> serde_json::Value {
        serde_json::to_value(p).unwrap()
    }
}
pub mod values {
    pub fn render(v: &serde_json::Value) -> String {
        v.to_string()
    }
}
pub mod graph {
    pub fn dot(_: &crate::model::Blocks) -> String {
        String::new()
    }
    pub fn mermaid(_: &crate::model::Blocks) -> String {
        String::new()
    }
}
pub mod report {
    use crate::apply::report::*;
    use crate::plan::Plan;
    pub fn json(_: &Plan, _: &[StepReport], _: Option<&Plan>, _: std::time::Duration) -> serde_json::Value {
        serde_json::Value::Null
    }
    pub fn render(
        _: &Plan,
        r: &[StepReport],
        left: Option<&Plan>,
        _: std::time::Duration,
        s: super::super::style::Style,
    ) -> String {
        let mut t = String::new();
        for x in r {
            t += &format!("{} {:?}\n", x.id, x.result);
        }
        if let Some(l) = left {
            t += "LEFT\n";
            t += &crate::view::plan::render(l, &crate::view::plan::Options { style: s, verbose: true, elapsed: None });
        }
        t
    }
}
pub mod progress {
    use crate::apply::report::Event;
    pub struct Progress;
    impl Progress {
        pub fn new(_: bool, _: bool, _: super::super::style::Style, _: usize) -> Self {
            Progress
        }
        pub fn show(&mut self, _e: &Event) {}
    }
}
pub mod status {
    use crate::model::*;
    use std::collections::BTreeMap;
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum State {
        Ok,
        Missing,
        WrongSource,
        Degraded,
        Stale,
        Unresponsive,
        Unknown,
    }
    #[derive(Debug)]
    pub struct HostStatus {
        pub name: HostName,
        pub state: State,
        pub message: String,
    }
    #[derive(Debug, PartialEq)]
    pub struct ImageStatus {
        pub name: String,
        pub size: u64,
        pub allocated: u64,
        pub format: String,
    }
    #[derive(Debug)]
    pub struct VolumeOnHost {
        pub state: State,
        pub size: Option<u64>,
        pub free: Option<u64>,
        pub message: String,
    }
    #[derive(Debug)]
    pub struct VolumeStatus {
        pub address: Address,
        pub kind: String,
        pub mount_point: String,
        pub hosts: BTreeMap<HostName, VolumeOnHost>,
        pub images: Vec<ImageStatus>,
    }
    #[derive(Debug)]
    pub struct Status {
        pub volumes: Vec<VolumeStatus>,
        pub media: Vec<()>,
        pub hosts: Vec<HostStatus>,
    }
    pub fn json(_: &Status) -> serde_json::Value {
        serde_json::Value::Null
    }
    pub fn render(s: &Status, _: super::super::style::Style) -> String {
        format!("{s:#?}")
    }
}
