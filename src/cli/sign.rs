//! Edge: `faregate sign`: a signed URL for one API call, to paste into curl.

use crate::clock::Clock;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::{signature, time};
use crate::terms::time::SECOND;
use anyhow::{Context, bail};
use clap::Args;
use std::process::ExitCode;

/// How long the signature may be used.
const SIGNATURE_SECONDS: i64 = 600;

/// What `sign` needs.
#[derive(Args, Debug)]
pub struct SignArguments {
    /// The API, for example http://127.0.0.1:8180/client/api
    #[arg(long, env = "CLOUDSTACK_ENDPOINT")]
    endpoint: String,
    /// The API key
    #[arg(long, env = "CLOUDSTACK_KEY")]
    key: String,
    /// Its secret key
    #[arg(long, env = "CLOUDSTACK_SECRET", hide_env_values = true)]
    secret: String,
    /// The command and its parameters: deployVirtualMachine zoneid=… templateid=…
    #[arg(required = true)]
    call: Vec<String>,
}

/// Prints the signed URL.
pub fn run(arguments: &SignArguments) -> anyhow::Result<ExitCode> {
    let (command, parameters) = arguments
        .call
        .split_first()
        .context("no command was given")?;
    let mut map = ParamMap::default();
    map.insert("response", "json");
    for parameter in parameters {
        let Some((name, value)) = parameter.split_once('=') else {
            bail!("`{parameter}` is not of the form name=value");
        };
        map.insert(name, value);
    }
    let expires = time::print(Clock::system().wall().plus(SIGNATURE_SECONDS * SECOND));
    for (name, value) in [
        ("command", command.trim_start_matches("command=")),
        ("apiKey", &arguments.key),
        ("signatureVersion", "3"),
        ("expires", &expires),
    ] {
        map.insert(name, value);
    }
    let signed = signature::sign(&map, arguments.secret.as_bytes());
    map.insert("signature", &signed);
    println!("{}?{}", arguments.endpoint, map.to_wire());
    Ok(ExitCode::SUCCESS)
}
