//! What the manual pages say beyond the help: exit codes, environment, files, examples.

/// The exit codes, as README.md has them.
pub const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "error"),
    ("2", "changes are present (`plan -detailed-exitcode`, `fmt -check`)"),
    ("3", "wrong use of the command line"),
    ("4", "something has changed since the plan was made"),
    ("5", "a lock is held; the message names the holder"),
    ("6", "refused because of a hazard that nobody has accepted"),
    ("7", "some steps were done and some were not"),
    ("8", "a host did not answer; everything else was planned or applied"),
];

pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("LARDER_VAR_name", "The value of the variable `name`, where no file and no option gives one."),
    ("LARDER_LOG", "What to log on standard error, for example `debug` or `larder=trace`; nothing if it is not set."),
    ("NO_COLOR", "No colours, if it is set and not empty."),
    (
        "XDG_RUNTIME_DIR",
        "Where the sockets of connections are while a command runs; without it, the directory for temporary files.",
    ),
    ("SUDO_USER, USER", "Who holds a lock, for others who wait for it."),
    ("PATH, HOME", "As everywhere: ssh and what `secret_command` starts, and the files of ssh."),
];

pub const FILES: &[(&str, &str)] = &[
    ("*.hcl", "The configuration: all of them in the directory are read."),
    ("larder.vars.hcl, *.auto.vars.hcl", "Values of variables."),
    (
        "state/larder.state.json",
        "The state, unless the configuration or `-state` names another one; beside it its backup, its lock and the journal of an apply.",
    ),
    (".larder/", "The lab, and the modules that were fetched. Git ignores it."),
    ("~/.ssh/config, ~/.ssh/known_hosts", "How hosts are reached, and who they are, unless a host block names others."),
];

/// Examples by command: what for, and what to type.
pub fn examples(command: &str) -> &'static [(&'static str, &'static str)] {
    match command {
        "" => &[
            ("Write a first configuration, and see what it would do:", "larder init\nlarder plan"),
            ("Review a change, then carry out exactly that:", "larder plan -out change.plan\nlarder apply change.plan"),
            ("Try everything on throwaway hosts first:", "larder lab up\nlarder -lab -state lab.json apply"),
        ],
        "init" => &[
            ("Begin in a directory of its own:", "larder -chdir=storage init"),
            ("Fetch the modules anew, where their revisions have moved:", "larder init -upgrade"),
        ],
        "validate" => &[("For an editor or a pipeline:", "larder validate -json")],
        "fmt" => &[
            ("Bring all files into the canonical layout:", "larder fmt -recursive"),
            ("Fail in a pipeline where one is not:", "larder fmt -check -diff"),
        ],
        "plan" => &[
            ("Fail in a pipeline where hosts are not as configured:", "larder plan -detailed-exitcode"),
            ("Write down what was reviewed:", "larder plan -out change.plan"),
            ("Only a part:", "larder plan -target external_volume.images"),
            ("Accept a danger for once:", "larder plan -accept hides-data@external_volume.images"),
        ],
        "apply" => &[
            ("Carry out a reviewed plan, or refuse if a host has changed:", "larder apply change.plan"),
            ("Wait for others who work with the same state:", "larder apply -lock-timeout 5m"),
            ("Let the state follow what was done by hand:", "larder apply -refresh-only"),
        ],
        "destroy" => {
            &[("Take everything away that a lab was given:", "larder -lab -state lab.json destroy -auto-approve")]
        }
        "show" => &[
            ("Read a plan with each command it runs:", "larder show -verbose change.plan"),
            ("The state as JSON:", "larder show -json"),
        ],
        "discover" => &[(
            "Describe what is on a host that nobody has described yet:",
            "larder discover -out hv4.hcl root@192.0.2.14",
        )],
        "status" => &[("For monitoring:", "larder status -json")],
        "state" => &[("What is managed:", "larder state list")],
        "state list" => &[("Only the images:", "larder state list image.")],
        "state show" => &[("One resource:", "larder state show 'image.guest[\"web\"]'")],
        "state rm" => &[("Let somebody else look after it:", "larder state rm external_volume.old")],
        "state mv" => &[("Give a resource another name:", "larder state mv image.old image.new")],
        "output" => &[("For a script:", "larder output -raw images")],
        "explain" => &[("Why is this refused?", "larder explain hides-data"), ("All codes:", "larder explain")],
        "graph" => &[
            ("A picture of the resources, with Graphviz:", "larder graph"),
            ("The steps of a reviewed plan, for a merge request:", "larder graph -plan change.plan -format=mermaid"),
        ],
        "console" => &[
            ("Try expressions:", "larder console"),
            ("Ask for many from a program, one JSON object a line each way:", "larder console -json"),
        ],
        "lab" | "lab up" => &[("Start a container host for each host of the configuration:", "larder lab up")],
        "lab down" => &[("Remove them:", "larder lab down")],
        "lab list" => &[("For a script:", "larder lab list -json")],
        "lab ssh" => &[
            ("Look around on one:", "larder lab ssh hv1"),
            ("Run something there:", "larder lab ssh hv1 findmnt -o TARGET,SOURCE"),
        ],
        "force-unlock" => &[("Who holds the lock?", "larder force-unlock")],
        "completions" => &[("For this shell only:", "larder completions bash")],
        "man" => &[("Install all pages:", "larder man /usr/local/share/man/man1")],
        "version" => &[("For a script:", "larder version -json")],
        _ => &[],
    }
}
