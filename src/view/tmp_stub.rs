//! placeholder
pub mod values { pub fn render(v:&serde_json::Value)->String { v.to_string() } }
pub mod graph { pub fn dot(_:&crate::model::Blocks)->String { String::new() } pub fn mermaid(_:&crate::model::Blocks)->String { String::new() } }
pub mod report { use crate::apply::report::*; pub fn json(r:&Report)->serde_json::Value { serde_json::to_value(r).unwrap_or_default() }
 pub fn render(r:&Report,_:super::super::style::Style)->String { let mut t=String::new(); for x in &r.steps { t+=&format!("{} {:?}\n",x.id,x.outcome);} for l in &r.leftovers { t+=&format!("LEFT {l:?}\n"); } t } }
pub mod progress { use crate::apply::report::Event; #[derive(Debug)] pub struct Progress(bool); impl Progress { pub fn new(json:bool,_:bool,_:super::super::style::Style)->Self { Progress(json) } pub fn show(&mut self,e:&Event, _at:&str) { use std::io::Write; if self.0 { let _=writeln!(std::io::stdout(),"{}",serde_json::to_string(e).unwrap_or_default()); } } } }
