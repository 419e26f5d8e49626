//! `asyncsgd data`: look at data, make, convert and divide it.

mod convert;
mod generate;
mod info;
mod split;

use asyncsgd::Result;

/// Look at data, generate, convert or split it
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Info(info::Args),
    #[command(allow_negative_numbers = true)]
    Generate(generate::Args),
    Convert(convert::Args),
    #[command(allow_negative_numbers = true)]
    Split(split::Args),
}

/// Runs the command.
///
/// # Errors
/// Where the data are bad or an output cannot be written.
pub fn run(args: Args) -> Result<u8> {
    match args.command {
        Command::Info(args) => info::run(&args),
        Command::Generate(args) => generate::run(args),
        Command::Convert(args) => convert::run(&args),
        Command::Split(args) => split::run(args),
    }
}
