//! The binary `cidbucket`: hands the process's arguments, environment and streams to the library.

use std::process::ExitCode;

use cidbucket_cli::{Env, Io, run};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(
        std::env::args_os(),
        &Env::of_process(),
        &mut Io::of_process(),
    ));
    // A thread may still wait for standard input; it has nothing left to say.
    runtime.shutdown_background();
    ExitCode::from(code)
}
