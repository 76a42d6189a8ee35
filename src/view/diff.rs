//! What changes in a text, as a unified diff that `patch` takes.

use similar::TextDiff;

/// The lines that change, with three lines around them; nothing if none does.
pub fn unified(name: &str, before: &str, after: &str) -> String {
    let lines = TextDiff::from_lines(before, after);
    lines.unified_diff().context_radius(3).header(&format!("old/{name}"), &format!("new/{name}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_change_have_signs_and_an_end_that_is_missing_is_said() {
        let text = unified("main.hcl", "a=1\nb = 2", "a = 1\nb = 2\n");
        let wanted = "--- old/main.hcl\n+++ new/main.hcl\n@@ -1,2 +1,2 @@\n-a=1\n-b = 2\n\\ No newline at end of file\n+a = 1\n+b = 2\n";
        assert_eq!(text, wanted);
        assert_eq!(unified("main.hcl", "a\n", "a\n"), "");
    }
}
