//! `POST /redeploy` and `shop redeploy`: every service runs another program, one instance after another, and no request fails.

use super::remote::Ops;
use super::supervisor::{Program, Supervision};
use crate::contracts::object::Object;
use crate::parts::body::Input;
use crate::parts::config::{Config, Instance};
use crate::parts::failure::Failure;
use crate::parts::problem::Problem;
use crate::up::{block_on, say};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use clap::Args;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{PathBuf, absolute};
use std::sync::{Arc, Mutex, PoisonError};

/// Has every service of an open shop run the program that is at a path now; no request fails, and if the new program does not
/// become ready, the old one stays
#[derive(Args, Debug)]
pub struct RedeployArgs {
    /// The program [default: the path from which the shop was started]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// `POST /redeploy`
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(skip_serializing_if = "Option::is_none")]
    binary: Option<PathBuf>,
}

/// # Errors
///
/// When no shop is open there, or it stays as it is; in its own words.
pub fn run(config: &Config, args: RedeployArgs) -> Result<(), Failure> {
    block_on(async {
        let binary = args.binary.map(|path| {
            absolute(&path).map_err(|why| Failure::new(format!("--binary {}: {why}.", path.display())))
        });
        let wish = serde_json::to_value(Wish { binary: binary.transpose()? }).unwrap_or_default();
        let done = Ops::of(config)?.ask(Method::POST, "/redeploy", Some(wish)).await?;
        let (services, binary) = (&done["instances"], done["binary"].as_str().unwrap_or_default());
        let services = services.as_array().map_or(0, Vec::len);
        say(&[format!("deployment {}: {services} instances run {binary}", done["deployment"])]);
        Ok(())
    })
}

/// What a shop whose services are processes runs. Clones share it.
#[derive(Clone, Debug)]
pub struct Deployments {
    supervision: Supervision,
    instances: Vec<Instance>,
    /// The one that runs; none while another is put in its place.
    running: Arc<Mutex<Option<Program>>>,
}

impl Deployments {
    pub fn new(supervision: Supervision, instances: Vec<Instance>, program: Program) -> Self {
        Self { supervision, instances, running: Arc::new(Mutex::new(Some(program))) }
    }

    /// Has all run what is at the path, or at that of what runs.
    async fn redeploy(self, path: Option<PathBuf>) -> Result<Program, Problem> {
        let taken = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let busy = || Problem::new(StatusCode::CONFLICT, "under-way", "another redeployment is under way");
        let old = taken.ok_or_else(busy)?;
        let path = path.unwrap_or_else(|| old.path().to_owned());
        let outcome = match Program::hold(path, old.deployment() + 1) {
            Ok(new) => self.replace(&old, &new).await.map(|()| new),
            Err(failure) => Err(failure),
        };
        let running = outcome.as_ref().unwrap_or(&old).clone();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        outcome.map_err(|failure| Problem::invalid(failure.to_string()))
    }

    /// One after another. Where one does not become ready, those before it go back.
    async fn replace(&self, old: &Program, new: &Program) -> Result<(), Failure> {
        for (n, instance) in self.instances.iter().enumerate() {
            let Err(why) = self.supervision.replace(*instance, new.clone()).await else { continue };
            let mut after = "all run what they ran before".to_owned();
            for instance in self.instances[..n].iter().rev() {
                if let Err(why) = self.supervision.replace(*instance, old.clone()).await {
                    after = format!("{instance} could not go back: {why}");
                }
            }
            let (why, after) = (why.to_string(), after.trim_end_matches('.'));
            return Err(Failure::new(format!("{}; {after}.", why.trim_end_matches('.'))));
        }
        Ok(())
    }
}

/// None: the services are threads of this process.
pub fn routes(deployments: Option<Deployments>) -> Router {
    Router::new().route("/redeploy", post(redeploy)).with_state(deployments)
}

async fn redeploy(
    State(deployments): State<Option<Deployments>>,
    Input(Object(Wish { binary })): Input<Object<Wish>>,
) -> Result<Json<Value>, Problem> {
    let alone = || {
        let detail = "the services are threads of one process; open the shop with --procs to redeploy them";
        Problem::new(StatusCode::CONFLICT, "one-process", detail)
    };
    let deployments = deployments.ok_or_else(alone)?;
    if binary.as_ref().is_some_and(|path| !path.is_absolute()) {
        return Err(Problem::invalid("`binary` must be an absolute path"));
    }
    let instances: Vec<_> = deployments.instances.iter().map(ToString::to_string).collect();
    // It is not left half done when nobody waits for it any more.
    let done = tokio::spawn(deployments.redeploy(binary)).await;
    let program = done.map_err(|_| Problem::unavailable("the redeployment broke off"))??;
    Ok(Json(json!({
        "deployment": program.deployment(), "binary": program.path(), "built_at": program.built_at(),
        "instances": instances,
    })))
}
