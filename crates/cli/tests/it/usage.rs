//! What is typed and configured: help, precedence, errors.

use crate::room::Room;

#[test]
fn help_is_as_reviewed() {
    let room = Room::new();
    let help = room.run(["--help"]).ok().out();
    // After a change that is meant: cargo run -- --help | cat > crates/cli/tests/it/help.txt
    assert_eq!(help, include_str!("help.txt"));
}

#[test]
fn every_command_teaches_by_example() {
    let room = Room::new();
    for command in cidbucket_cli::command().get_subcommands() {
        let help = room.run([command.get_name(), "-h"]).ok().out();
        assert!(help.contains("Examples:\n  "), "{help}");
    }
    // Nothing typed is a question, answered with help, and no success.
    let nothing = room.run::<&str>([]).code(2);
    assert!(nothing.err().contains("Examples:"));
}

#[test]
fn flag_over_environment_over_file() {
    let room = Room::new();
    for name in ["flag", "env", "file"] {
        std::fs::create_dir(room.path(name)).unwrap();
    }
    room.file(
        ".config/cidbucket/config.toml",
        "store = \"mine\"\n[stores.mine]\nurl = \"dir:file\"\n",
    );
    let full = |name: &str| std::fs::read_dir(room.path(name)).unwrap().count() > 0;
    room.run_with(["put"], "1").ok();
    assert_eq!(
        [full("file"), full("env"), full("flag")],
        [true, false, false]
    );

    let mut with_env = room.command(["put"]);
    with_env.env("CIDBUCKET_STORE", "dir:env");
    assert!(with_env.status().unwrap().success());
    assert_eq!(
        [full("file"), full("env"), full("flag")],
        [true, true, false]
    );

    let mut with_flag = room.command(["put", "--store", "dir:flag"]);
    with_flag.env("CIDBUCKET_STORE", "dir:nowhere");
    assert!(with_flag.status().unwrap().success());
    assert!(full("flag"));
}

#[test]
fn a_bad_configuration_is_named() {
    let room = Room::new();
    let path = room.file("c.toml", "store = \"memory:\"\n\nsotre = 1\n");
    let bad = room.run(["ls", "--config", path.to_str().unwrap()]).code(2);
    assert!(bad.err().contains("c.toml: line 3"), "{}", bad.err());
    assert!(bad.err().contains("sotre"), "{}", bad.err());
    room.run(["ls", "--config", "none.toml"]).code(2);
}

#[test]
fn wrong_usage_is_two_and_says_what_to_do() {
    let room = Room::new();
    let none = room.run(["ls"]).code(2);
    assert!(
        none.err()
            .starts_with("error: no store is given\n hint: give --store")
    );
    let typo = room.run(["--store", "memory:", "get", "bafyx"]).code(2);
    assert!(
        typo.err().contains("\"bafyx\" is not a CID"),
        "{}",
        typo.err()
    );
    for url in [
        "ftp://localhost",
        "http://me@localhost",
        "blocks",
        "s4://b",
        "memory:x",
        "",
    ] {
        let bad = room.run(["--store", url, "ls"]).code(2);
        assert!(bad.err().starts_with("error: "), "{url}: {}", bad.err());
    }
    let missing = room.run([
        "--store",
        "dir:none",
        "get",
        "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am",
    ]);
    assert_eq!(missing.0.status.code(), Some(7), "{}", missing.err());
    let filter = room
        .command(["ls"])
        .env("CIDBUCKET_LOG", "=x=")
        .output()
        .unwrap();
    assert_eq!(filter.status.code(), Some(2));
}

#[test]
fn json_errors_are_objects() {
    let room = Room::new();
    let error = room
        .run(["--json", "--store", "memory:", "pt"])
        .code(2)
        .json_error();
    assert_eq!(error["class"], "usage");
    assert!(error["message"].as_str().unwrap().contains("'pt'"));
    let error = room.run(["--json", "ls"]).code(2).json_error();
    assert!(error["hint"].is_string());
    let cid = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am";
    let error = room
        .run(["--json", "--store", "memory:", "get", cid])
        .code(3)
        .json_error();
    assert_eq!(error["class"], "not-found");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let room = Room::new();
    assert!(!room.run(["ls"]).err().contains('\u{1b}'));
    assert!(
        room.run(["ls", "--color", "always"])
            .err()
            .contains('\u{1b}')
    );
    assert!(room.run(["--color=always", "pt"]).err().contains('\u{1b}'));
    assert!(!room.run(["--color=never", "pt"]).err().contains('\u{1b}'));
}

#[test]
fn completions_and_man_pages() {
    let room = Room::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(
            room.run(["completions", shell])
                .ok()
                .out()
                .contains("cidbucket")
        );
    }
    assert!(room.run(["man"]).ok().out().contains(".TH cidbucket 1"));
    room.run(["man", "pages"]).ok();
    assert!(room.path("pages/cidbucket.1").exists());
    assert!(room.path("pages/cidbucket-put.1").exists());
}
