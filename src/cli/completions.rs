//! `asyncsgd completions`: what a shell needs to complete the options.

use super::output::Output;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print completions for a shell
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  asyncsgd completions bash > ~/.local/share/bash-completion/completions/asyncsgd"
)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(args: &Args) -> asyncsgd::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "asyncsgd", &mut script);
    Output::stdout().write(|out| out.write_all(&script))?;
    Ok(0)
}
