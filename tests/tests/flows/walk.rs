//! The walks with curl of `docs/api.md`, walked: what the page says is done is done, and answers what the page says.
//!
//! A block of shell is a row of steps, each followed by comments. A comment is what the step prints when the work behind it is
//! done, so the step is repeated until it prints that; one with an ellipsis is shortened, and the step is repeated until it is
//! answered without a problem: a mail may still be on its way. Every step may be repeated, since writes carry idempotency keys:
//! that is a part of what is tried here.

use std::process::{Command, Stdio};

use flows::{Product, root};

/// How the steps are taken: `step COMMAND` and `expect COMMAND OUTPUT`.
const DRIVER: &str = r#"
set -u
fail() { printf 'step: %s\nprinted: %s\n%s\n' "$1" "$2" "${3:-}" >&2; exit 1; }
show() { eval "$1" >"$OUT" 2>&1 || fail "$1" "$(cat "$OUT")" "it failed"; }
step() {
    for _ in $(seq 600); do
        show "$1"
        grep -q 'urn:ratchet:problem' "$OUT" || return 0
        sleep 0.1
    done
    fail "$1" "$(cat "$OUT")" "it is a problem"
}
expect() {
    for _ in $(seq 600); do
        show "$1"
        [ "$(cat "$OUT")" = "$2" ] && return 0
        sleep 0.1
    done
    fail "$1" "$(cat "$OUT")" "the page says: $2"
}
"#;

/// A command, and what the page says that it prints.
#[derive(Default)]
struct Step {
    command: String,
    printed: Vec<String>,
}

/// The steps of the shell blocks below the headings that begin with `## A`.
fn steps(page: &str) -> Vec<Step> {
    let walks = page.split("\n## ").filter(|section| section.starts_with("A "));
    let blocks = walks.flat_map(|walk| walk.split("```sh\n").skip(1)).filter_map(|rest| rest.split("```").next());
    let mut steps: Vec<Step> = Vec::new();
    for block in blocks {
        steps.push(Step::default());
        for line in block.lines() {
            let last = steps.last_mut().unwrap();
            match line.strip_prefix("# ") {
                Some(comment) => last.printed.push(comment.to_owned()),
                None if !last.printed.is_empty() => {
                    steps.push(Step { command: format!("{line}\n"), printed: Vec::new() });
                }
                None => {
                    last.command.push_str(line);
                    last.command.push('\n');
                }
            }
        }
    }
    steps.retain(|step| !step.command.trim().is_empty());
    steps
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn script(steps: &[Step], api: &str) -> String {
    let mut script = DRIVER.to_owned();
    for step in steps {
        let printed = step.printed.join("\n");
        // The page's address is that of a demo.
        let command = quoted(&step.command.replace("http://127.0.0.1:3000", api));
        if printed.is_empty() || printed.contains("...") {
            script.push_str(&format!("step {command}\n"));
        } else {
            script.push_str(&format!("expect {command} {}\n", quoted(&printed)));
        }
    }
    script
}

#[test]
fn the_walks_of_the_page_come_out_as_it_says() {
    let page = std::fs::read_to_string(root().join("docs/api.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.iter().filter(|step| !step.printed.is_empty()).count() > 10);
    let product = Product::start().unwrap();
    let out = tempfile::NamedTempFile::new().unwrap();
    let walked = Command::new("bash")
        .args(["-c", &script(&steps, &product.api)])
        .envs(product.services.environment())
        .env("OUT", out.path())
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(walked.status.success(), "{}", String::from_utf8_lossy(&walked.stderr));
}
