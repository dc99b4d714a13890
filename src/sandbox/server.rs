//! Edge: the stand-in's listener, its control path and its file.

use super::answer::{Answer, refused, unauthorized, write};
use super::commands::{self, Ctx, Outcome};
use super::state::{State, text};
use super::{auth, jobs};
use crate::clock::Clock;
use crate::cloudstack::envelope::{Format, SECURITY_HEADERS, content_type, description};
use crate::cloudstack::query::ParamMap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// Bytes of a form; CloudStack's own bound.
const BODY_MAX: usize = 1 << 20;
/// How long changes are gathered before the snapshot is written.
const SAVE_EVERY: Duration = Duration::from_millis(100);

/// Where and how the stand-in runs.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Address to listen on; port 0 for any.
    pub listen: SocketAddr,
    /// Folder of its snapshot and of `admin.json`.
    pub state_dir: PathBuf,
    /// Wall time for signatures, billing time for all that is printed.
    pub clock: Clock,
    /// How long a job runs at least and at most, in milliseconds of wall time.
    pub job_delay_millis: (u64, u64),
}

/// Why the stand-in could not run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address is taken or not ours.
    #[error("the stand-in cannot listen on {address}: {source}; choose another address")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The snapshot cannot be read or written.
    #[error("the stand-in's folder {folder}: {source}; give it a folder that it may write")]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What every connection shares.
pub struct Sandbox {
    /// Options it was started with.
    pub options: SandboxOptions,
    state: Mutex<State>,
    dirty: AtomicBool,
}

impl Sandbox {
    /// The state, to read or to change; a change is saved soon.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.dirty.store(true, Ordering::Release);
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The clock, and billing time now.
    pub fn ctx(&self) -> Ctx {
        let clock = self.options.clock.clone();
        Ctx {
            now: clock.billing(),
            clock,
        }
    }

    fn save(&self) -> std::io::Result<()> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.save(&self.options.state_dir)
    }
}

/// Serves until `stop` turns true; `ready` learns the address that is listened on.
///
/// # Errors
/// [`SandboxError`] where the folder or the address cannot be used.
pub async fn serve(
    options: SandboxOptions,
    ready: oneshot::Sender<SocketAddr>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), SandboxError> {
    let folder = options.state_dir.clone();
    let fault = |source| SandboxError::Folder {
        folder: folder.clone(),
        source,
    };
    let state = State::open(&options.state_dir, &options.clock).map_err(fault)?;
    let address = options.listen;
    let refused = |source| SandboxError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let dirty = AtomicBool::new(false);
    let sandbox = Arc::new(Sandbox {
        options,
        state: Mutex::new(state),
        dirty,
    });
    jobs::after_start(&sandbox);
    // Nobody waiting for the address is no reason not to serve.
    let _ = ready.send(bound);
    let mut tick = tokio::time::interval(SAVE_EVERY);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(connection(stream, sandbox.clone(), stop.clone()));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            _ = tick.tick() => sandbox.save().map_err(fault)?,
            _ = stop.changed() => break,
        }
    }
    sandbox.save().map_err(fault)
}

async fn connection(stream: TcpStream, sandbox: Arc<Sandbox>, mut stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(sandbox.clone(), request));
    let mut connection = std::pin::pin!(
        hyper::server::conn::http1::Builder::new()
            .half_close(true)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// An error here closes the connection without an answer: the fault `answer-lost`.
async fn respond(
    sandbox: Arc<Sandbox>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect().await;
    let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
        return Ok(bare(400, "the body cannot be read"));
    };
    match head.uri.path() {
        "/sandbox/faults" if head.method == Method::POST => Ok(switch(&sandbox, &body)),
        "/sandbox/state" => Ok(running(&sandbox)),
        path if path.starts_with("/client/api") => {
            let form = if head.method == Method::POST {
                &body[..]
            } else {
                b""
            };
            let query = head.uri.query().unwrap_or_default();
            match ParamMap::parse_as_cloudstack(query.as_bytes(), form) {
                Some(params) => api(&sandbox, params, &cookies(&head.headers)).await,
                None => Ok(bare(400, "bad percent escape or bad UTF-8")),
            }
        }
        _ => Ok(bare(404, "the API is at /client/api")),
    }
}

async fn api(
    sandbox: &Arc<Sandbox>,
    params: ParamMap,
    cookies: &[(String, String)],
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let format = Format::asked(params.get("response"));
    let command = params.command().to_owned();
    let slow = sandbox.state().faults.get("slow").copied().unwrap_or(0);
    if slow > 0 {
        tokio::time::sleep(Duration::from_millis(slow)).await;
    }
    if command == "login" || command == "logout" {
        return Ok(session(sandbox, &params, cookies, format));
    }
    let called = {
        let state = sandbox.state();
        auth::caller(&state, &params, cookies, sandbox.options.clock.wall())
    };
    let known = called.is_ok();
    let outcome = match called {
        Ok(_) if !commands::is_known(&command) => {
            let mut refusal = unauthorized();
            refusal.wrapper = Some(if command.is_empty() {
                "null"
            } else {
                "errorresponse"
            });
            Err(refusal)
        }
        Ok(caller) => {
            let ctx = sandbox.ctx();
            let first = commands::run(&mut sandbox.state(), &ctx, &caller, &params);
            match first {
                Ok(Outcome::Done(value)) => Ok(value),
                Ok(Outcome::Started(started)) => {
                    jobs::begin(sandbox, &caller, &params, started).await
                }
                Err(refusal) => Err(refusal),
            }
        }
        Err(refusal) => Err(refusal),
    };
    let changes = !command.starts_with("list") && !command.starts_with("get");
    let changes = changes && !command.starts_with("query");
    if changes && sandbox.state().strikes("answer-lost") {
        return Err(std::io::Error::other("the fault answer-lost is on"));
    }
    Ok(response(write(&command, outcome, format, known), format))
}

/// `login` and `logout`.
fn session(
    sandbox: &Sandbox,
    params: &ParamMap,
    cookies: &[(String, String)],
    format: Format,
) -> Response<Full<Bytes>> {
    let mut state = sandbox.state();
    if params.command() == "logout" {
        let found = cookies
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("JSESSIONID"));
        let id = found
            .and_then(|(_, value)| value.split('.').next())
            .unwrap_or_default();
        state.sessions.remove(id);
        let value = json!({"description": "success"});
        return response(write("logout", Ok(value), format, true), format);
    }
    let name = params.get("username").unwrap_or_default();
    let user = state
        .all("user")
        .find(|user| text(&user.shown, "username") == name);
    let user = user.map(|user| user.shown.clone()).unwrap_or_default();
    let id = text(&user, "id").to_owned();
    let password = state
        .secrets
        .get(&id)
        .map(|held| held.password.clone())
        .unwrap_or_default();
    let given = params.get("password").unwrap_or_default();
    if password.is_empty() || password != given || auth::of_user(&state, &id).is_none() {
        let text = format!(
            "Failed to authenticate user {name} in domain 1; please provide valid \
             credentials"
        );
        return response(
            write("login", Err(refused(531, 4365, text)), format, false),
            format,
        );
    }
    let clock = &sandbox.options.clock;
    let (session, key) = (clock.random_uuid(), clock.random_uuid().replace('-', ""));
    let kind = user
        .get("accounttype")
        .cloned()
        .unwrap_or_default()
        .to_string();
    let value = json!({
        "username": name, "userid": id, "domainid": text(&user, "domainid"), "timeout": 1800,
        "account": text(&user, "account"), "firstname": text(&user, "firstname"),
        "lastname": text(&user, "lastname"), "type": kind, "timezone": "UTC",
        "timezoneoffset": "0.0", "registered": "false", "sessionkey": key,
        "is2faenabled": "false", "is2faverified": "true", "issuerfor2fa": "CloudStack",
    });
    state.sessions.insert(session.clone(), (key.clone(), id));
    let mut answer = response(write("login", Ok(value), format, true), format);
    let lines = [
        format!("JSESSIONID={session}.node0; Path=/client; HttpOnly"),
        format!("sessionkey={key}; Path=/client/api; HttpOnly"),
    ];
    for line in lines {
        if let Ok(value) = HeaderValue::from_str(&line) {
            answer.headers_mut().append(http::header::SET_COOKIE, value);
        }
    }
    answer
}

fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let lines = headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// `POST /sandbox/faults`: `name=…&count=…`; 0 switches off.
fn switch(sandbox: &Sandbox, form: &[u8]) -> Response<Full<Bytes>> {
    let params = ParamMap::parse_as_cloudstack(b"", form).unwrap_or_default();
    let Some(name) = params.get("name") else {
        return bare(400, "name=… is missing");
    };
    let count = params
        .get("count")
        .map_or(Some(1), |text| text.parse::<u64>().ok());
    let Some(count) = count else {
        return bare(400, "count must be a whole number");
    };
    let mut state = sandbox.state();
    match count {
        0 => state.faults.remove(name),
        _ => state.faults.insert(name.to_owned(), count),
    };
    bare(200, &json!(state.faults).to_string())
}

/// `GET /sandbox/state`: what really runs.
fn running(sandbox: &Sandbox) -> Response<Full<Bytes>> {
    let state = sandbox.state();
    let vms = state.all("virtualmachine");
    let running: Vec<&str> = vms
        .filter(|vm| text(&vm.shown, "state") == "Running")
        .map(|vm| text(&vm.shown, "id"))
        .collect();
    let vms = state.all("virtualmachine").count();
    bare(200, &json!({"running": running, "vms": vms}).to_string())
}

fn bare(status: u16, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
}

fn response(answer: Answer, format: Format) -> Response<Full<Bytes>> {
    let mut response = bare(answer.status, &answer.body);
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static(content_type(format));
    headers.insert(http::header::CONTENT_TYPE, kind);
    for (name, value) in SECURITY_HEADERS {
        if let Ok(name) = http::HeaderName::from_bytes(name.as_bytes()) {
            headers.append(name, HeaderValue::from_static(value));
        }
    }
    let text = answer.description.as_deref().map(description);
    if let Some(Ok(value)) = text.map(|bytes| HeaderValue::from_bytes(&bytes)) {
        headers.insert("X-Description", value);
    }
    response
}
