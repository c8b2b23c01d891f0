//! `serve`: a checkpoint as a policy server for LIBERO in MuJoCo, a robot, or another instance of this program.

use super::output;
use super::signals::StopSignals;
use crate::EvalError;
use crate::action_noise::ActionNoise;
use crate::agent::registry::{
    API_KEY, PolicyName, PolicyOptions, PolicySpec, open_checkpoint, parse_engine, parse_positive,
};
use crate::asset_resolver::AssetResolver;
use crate::policy_server::CheckpointServer;
use crate::provenance::sha256_of_checkpoint;
use bitvla_policies::Engine;
use bitvla_remote::{Protocol, Server, ServerOptions, ServerPolicy};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Parses the name of a wire protocol.
fn parse_protocol(text: &str) -> Result<Protocol, String> {
    let found = Protocol::ALL.into_iter().find(|p| p.name() == text);
    found.ok_or_else(|| {
        format!(
            "there are: {}",
            Protocol::ALL.map(Protocol::name).join(", ")
        )
    })
}

/// Options of a policy server.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Wire protocol: openpi (one observation, one chunk of actions) or vla-eval (one action per control step)
    #[arg(long, default_value = "openpi", value_parser = parse_protocol, value_name = "openpi|vla-eval")]
    protocol: Protocol,
    /// Policy with weights: ternary, full, int8, int4, nf4, ptq-ternary, ternary-int8-head
    #[arg(long, default_value_t, value_name = "NAME")]
    policy: PolicyName,
    /// Folder of a checkpoint as published, or a packed file [default: the one that ships for the suite]
    #[arg(long, value_name = "PATH")]
    checkpoint: Option<PathBuf>,
    /// Suite whose checkpoint and statistics are used [default: what the checkpoint records; the checkpoint of spatial]
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    /// Address to listen on; 0.0.0.0 for every network of this machine
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8000, value_name = "N")]
    port: u16,
    /// Connections at the same time; each has a worker of its own
    #[arg(long, default_value_t = 8, value_parser = parse_positive, value_name = "N")]
    connections: usize,
    /// Threads of one policy query; never changes an answer
    #[arg(long, default_value_t = 1, value_parser = parse_positive, value_name = "N")]
    threads: usize,
    /// Add Gaussian noise of this standard deviation (in units of actions) to the motions of every answer
    #[arg(long, value_name = "SIGMA")]
    action_noise: Option<ActionNoise>,
    /// Library that computes the network: native, or candle for the policy `full`
    #[arg(long, default_value = "native", value_parser = parse_engine, value_name = "native|candle")]
    engine: Engine,
    /// Key of the checkpoint's statistics
    #[arg(long, value_name = "KEY")]
    normaliser_key: Option<String>,
}

/// Serves until a signal asks for the end.
pub(super) fn serve(resolver: &AssetResolver, args: &ServeArgs) -> Result<ExitCode, EvalError> {
    let format = args
        .policy
        .weights()
        .ok_or_else(|| EvalError::Input(format!("`{}` has no network to serve", args.policy)))?;
    let options = PolicyOptions {
        checkpoint: args.checkpoint.clone(),
        engine: args.engine,
        normaliser_key: args.normaliser_key.clone(),
        action_noise: args.action_noise,
        ..PolicyOptions::default()
    };
    let assets = resolver.builtin_assets()?;
    let mut spec = PolicySpec::new(args.policy.clone(), options, assets.dir());
    spec.suite = args.suite.as_deref().map(|name| resolver.suite_name(name));
    let policy = open_checkpoint(&spec, format)?;
    let name = spec.options.policy_name(args.policy.name());
    let sha256 = sha256_of_checkpoint(&spec.checkpoint_path())?;
    let policy = CheckpointServer::new(policy, &name, &sha256, args.threads, args.action_noise);
    let api_key = std::env::var(API_KEY).ok().filter(|key| !key.is_empty());
    let keyed = api_key.is_some();
    let server = Server::bind(
        &args.host,
        args.port,
        ServerOptions {
            protocol: args.protocol,
            api_key,
            max_connections: args.connections,
        },
    )?;
    let address = server.address()?;
    output::print_line(&format!(
        "{} at ws://{address}, protocol {}{}",
        spec.checkpoint_path().display(),
        args.protocol.name(),
        match (keyed, address.ip().is_loopback()) {
            (true, _) => ", with a key",
            (false, true) => "",
            (false, false) =>
                ", open to everybody who reaches this address (BITVLA_API_KEY asks for a key)",
        }
    ));
    for (name, words) in policy.interface().facts {
        output::note(&format!("  {name}: {words}"));
    }
    let signals = StopSignals::install()?;
    signals.during(|| server.run(&policy, &|| signals.stop(), &|line| output::note(line)));
    output::note("stopped");
    Ok(ExitCode::SUCCESS)
}
