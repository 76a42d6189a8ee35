//! What a plan is limited to: which resources, and why each of them. The same words before a plan and after an apply.

use crate::model::escape_line;
use crate::plan::{Choice, Plan, Target, Targets, Why};

use super::style::{Ink, Style, aligned};

/// Resources that are listed; the JSON form has them all.
const SHOWN: usize = 30;

/// The list at the head of a plan.
pub(super) fn head(targets: &Targets, style: Style) -> String {
    let all = targets.resources.len();
    let named = targets.resources.iter().filter(|one| one.why == Why::Named).count();
    let word = match targets.option {
        Choice::Target => "Targeted",
        Choice::Exclude => "Left out",
    };
    let mut text = style.paint(Ink::Attention, &format!("{word}: {named} named, {all} in all:"));
    text.push('\n');
    let rows: Vec<_> = targets.resources.iter().take(SHOWN).map(row).collect();
    aligned(&rows).iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    if all > SHOWN {
        text.push_str(&format!("  and {} more\n", all - SHOWN));
    }
    text
}

fn row(target: &Target) -> Vec<String> {
    let of = target.of.as_ref().map(|of| escape_line(&of.to_string())).unwrap_or_default();
    let why = match target.why {
        Why::Named => "named".to_owned(),
        Why::NeededBy => format!("needed by {of}"),
        Why::DependsOn => format!("depends on {of}"),
    };
    vec![escape_line(&target.address.to_string()), why]
}

fn option(targets: &Targets) -> &'static str {
    match targets.option {
        Choice::Target => "-target",
        Choice::Exclude => "-exclude",
    }
}

/// The line at the end of a plan.
pub(super) fn note(targets: &Targets) -> String {
    format!(
        "This plan is partial ({}): what lies outside was neither asked nor changed. Plan without it to see everything.",
        option(targets)
    )
}

/// What there is to say when a partial plan has been applied.
pub fn after_apply(plan: &Plan) -> Option<String> {
    let option = option(plan.targets.as_ref()?);
    Some(format!(
        "Only a part was applied ({option}); outputs are as they were. Run `larder plan` to see what else there is to do."
    ))
}
