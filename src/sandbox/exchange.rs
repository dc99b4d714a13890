//! Edge: one request and its answer: who calls, the command, its job, its headers.

use super::call::{Call, Caller, Reply};
use super::catalogue::{Command, catalogue};
use super::cloud::Moment;
use super::refused::{Refused, forbidden, unauthorized, unknown_command};
use super::server::Sandbox;
use super::session::{self, KeyPlaces, Proof};
use super::work::Work;
use super::{auth, commands, control, finish, further, pages, write};
use crate::cloudstack::envelope::{
    Format, SECURITY_HEADERS, content_type, description, error_body,
};
use crate::cloudstack::query::ParamMap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a form; CloudStack's own bound.
const BODY_MAX: usize = 1 << 20;
/// How long the create phase of an asynchronous command takes: its job is not to be found yet.
const CREATE_PHASE: Duration = Duration::from_millis(30);

/// Without an id CloudStack answers these with an empty 200.
const NAMELESS: [&str; 3] = ["activateProject", "deleteProject", "updateProject"];

pub(super) type Answer = Response<Full<Bytes>>;

/// Answers a request. An error closes the connection without an answer: the fault `answer-lost`.
///
/// # Errors
/// A fault that is switched on.
pub async fn respond(
    sandbox: Arc<Sandbox>,
    request: Request<Incoming>,
) -> Result<Answer, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect().await;
    let Ok(body) = body.map(Collected::to_bytes) else {
        return Ok(plain(400, "the body cannot be read"));
    };
    let is_post = head.method == Method::POST;
    match head.uri.path() {
        "/sandbox/faults" if is_post => return Ok(switch(&sandbox, &body)),
        "/sandbox/servers" if is_post => return Ok(further::answer(&sandbox, &body).await),
        "/sandbox/state" => {
            let state = control::state(&sandbox.look());
            return Ok(plain(200, &state.to_string()));
        }
        path if path == "/client/api" || path.starts_with("/client/api/") => {}
        path => {
            let query = head.uri.query().unwrap_or_default();
            let page = pages::answer(&head.method, path, query, &head.headers);
            return Ok(page.unwrap_or_else(|| plain(404, "the API is at /client/api")));
        }
    }
    if !matches!(head.method, Method::GET | Method::POST | Method::HEAD) {
        return Ok(plain(405, ""));
    }
    let form = if is_post && is_form(&head.headers) {
        &body[..]
    } else {
        b""
    };
    let query = head.uri.query().unwrap_or_default();
    let Some(params) = ParamMap::parse_as_cloudstack(query.as_bytes(), form) else {
        return Ok(plain(400, "Bad Request"));
    };
    let cookies = cookies(&head.headers);
    let asked = Asked {
        params: &params,
        cookies: &cookies,
        is_post,
    };
    api(&sandbox, &asked).await
}

/// A request's parts.
struct Asked<'a> {
    params: &'a ParamMap,
    cookies: &'a [(String, String)],
    is_post: bool,
}

async fn api(sandbox: &Arc<Sandbox>, asked: &Asked<'_>) -> Result<Answer, std::io::Error> {
    let params = asked.params;
    let format = Format::asked(params.get("response"));
    let name = params.command();
    dawdle(sandbox).await;
    if name.eq_ignore_ascii_case("login") {
        return Ok(login(sandbox, asked, format));
    }
    if name.eq_ignore_ascii_case("logout") {
        return Ok(logout(sandbox, asked, format));
    }
    let caller = caller(sandbox, asked);
    let Some(command) = catalogue().find(name) else {
        return Ok(no_command(sandbox, asked, caller.is_ok(), format));
    };
    if let Some(refusal) = role_refusal(sandbox, asked, command, caller.as_ref().ok()) {
        return Ok(error(&command.wrapper, &refusal, format, false));
    }
    let caller = match caller {
        Ok(caller) => caller,
        Err(refusal) => return Ok(error(&command.wrapper, &refusal, format, false)),
    };
    if NAMELESS.contains(&name) && params.get("id").is_none() {
        return Ok(written(200, String::new(), Format::Xml));
    }
    let outcome = perform(sandbox, command, params, &caller).await?;
    if !is_read(name) && strikes(sandbox, "answer-lost") {
        return Err(std::io::Error::other("the fault answer-lost is on"));
    }
    Ok(match outcome {
        Ok(inside) => success(&command.wrapper, &inside, format),
        Err(refusal) => error(&command.wrapper, &refusal, format, true),
    })
}

/// No command of that name: 401 for signed calls, 432 in a session, nothing at all for a session
/// that names none.
fn no_command(sandbox: &Sandbox, asked: &Asked<'_>, is_known: bool, format: Format) -> Answer {
    let name = asked.params.command();
    let in_session = is_known && asked.params.get("signature").is_none();
    if in_session && name.is_empty() {
        return written(200, String::new(), Format::Xml);
    }
    let refusal = if in_session {
        forbidden(name, &sandbox.options.clock.random_uuid())
    } else {
        unknown_command(asked.params.get("command").is_some())
    };
    error("errorresponse", &refusal, format, false)
}

/// A command that changes nothing.
fn is_read(name: &str) -> bool {
    ["list", "get", "query"]
        .iter()
        .any(|lead| name.starts_with(lead))
}

/// Waits as long as the fault `slow` says.
async fn dawdle(sandbox: &Sandbox) {
    let millis = sandbox.look().faults.get("slow").copied().unwrap_or(0);
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

fn strikes(sandbox: &Sandbox, fault: &str) -> bool {
    let on = sandbox.look().faults.contains_key(fault);
    on && sandbox.change().strikes(fault)
}

/// The caller: by a live session, else by signature.
fn caller(sandbox: &Sandbox, asked: &Asked<'_>) -> Result<Caller, Refused> {
    let wall = sandbox.options.clock.wall();
    let places = KeyPlaces::of(&sandbox.look());
    let shown = (asked.cookies, asked.params);
    let proof = sandbox.sessions().prove(shown, places, wall);
    let cloud = sandbox.look();
    let found = match proof {
        Proof::User(user) => Caller::of_user(&cloud, &user),
        Proof::None => auth::signed(&cloud, asked.params, wall),
        Proof::Ended => None,
    };
    found.ok_or_else(unauthorized)
}

/// 432 where the role lacks the command: judged by the key alone, before the signature.
fn role_refusal(
    sandbox: &Sandbox,
    asked: &Asked<'_>,
    command: &Command,
    caller: Option<&Caller>,
) -> Option<Refused> {
    let claimed = || {
        let cloud = sandbox.look();
        let user = auth::claimed(&cloud, asked.params)?.id.clone();
        Caller::of_user(&cloud, &user)
    };
    let kind = caller.cloned().or_else(claimed)?.kind;
    let random = sandbox.options.clock.random_uuid();
    (!command.allowed(kind)).then(|| forbidden(command.name, &random))
}

/// Runs the command; an asynchronous one gets its job after the create phase.
async fn perform(
    sandbox: &Arc<Sandbox>,
    command: &Command,
    params: &ParamMap,
    caller: &Caller,
) -> Result<Result<Value, Refused>, std::io::Error> {
    let clock = &sandbox.options.clock;
    let fresh = || clock.random_uuid();
    let call = |now| Call {
        command,
        params,
        caller,
        moment: Moment { now, fresh: &fresh },
    };
    let reply = {
        let mut cloud = if is_read(command.name) {
            sandbox.look()
        } else {
            sandbox.change()
        };
        commands::run(&mut cloud, &call(sandbox.now()))
    };
    let (id, instance, work) = match reply {
        Ok(Reply::Now(inside)) => return Ok(Ok(inside)),
        Err(refusal) => return Ok(Err(refusal)),
        Ok(Reply::Job { id, instance, work }) => (id, instance, work),
    };
    let event = {
        let call = call(sandbox.now());
        finish::schedule(&mut sandbox.change(), &work, caller, call.moment)
    };
    if id.is_some() {
        tokio::time::sleep(CREATE_PHASE).await;
        if strikes(sandbox, "dies-before-job-row") {
            return Err(std::io::Error::other("the fault dies-before-job-row is on"));
        }
    }
    let begun = {
        let mut cloud = sandbox.change();
        let call = call(sandbox.now());
        let begun = commands::job::begin(&mut cloud, &call, instance, work.clone(), event);
        if let Ok(job) = &begun {
            finish::started(&mut cloud, job, call.moment);
        }
        begun
    };
    Ok(begun.map(|job| {
        run_later(sandbox, job.clone(), &work);
        match id {
            Some(id) => json!({ "id": id, "jobid": job }),
            None => json!({ "jobid": job }),
        }
    }))
}

/// Completes the job when it is due. Its task ends with the runtime; the job is then cancelled at
/// the next start, as a real server's is.
fn run_later(sandbox: &Arc<Sandbox>, job: String, work: &Work) {
    let (least, most) = sandbox.options.job_delay_millis;
    let steps = u64::from(finish::weight(work).saturating_sub(1));
    let spread = most.saturating_sub(least) / 2;
    let slow = sandbox.look().faults.get("slow-jobs").copied().unwrap_or(0);
    let millis = least
        .saturating_add(spread.saturating_mul(steps))
        .saturating_add(slow);
    let sandbox = sandbox.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        let fresh = || sandbox.options.clock.random_uuid();
        let moment = Moment {
            now: sandbox.now(),
            fresh: &fresh,
        };
        finish::complete(&mut sandbox.change(), &job, moment);
    });
}

fn login(sandbox: &Sandbox, asked: &Asked<'_>, format: Format) -> Answer {
    if !asked.is_post {
        let text = "Please use HTTP POST to authenticate using this API";
        return written(405, text.to_owned(), format);
    }
    let clock = &sandbox.options.clock;
    let session = format!("node0{}", clock.random_uuid().replace('-', ""));
    let cookie = format!("JSESSIONID={session}.node0; Path=/client");
    let cloud = sandbox.look();
    let user = session::login(&cloud, asked.params);
    let user = user.and_then(|user| match Caller::of_user(&cloud, &user.id) {
        Some(_) => Ok(user),
        None => Err(unauthorized()),
    });
    let mut sessions = sandbox.sessions();
    // A login that carries a live session ends that one.
    let _ = sessions.close(asked.cookies);
    let mut answer = match user {
        Err(refusal) => error("loginresponse", &refusal, format, false),
        Ok(user) => {
            let mut key = clock.random_uuid().replace('-', "");
            key.truncate(27);
            sessions.open(&session, &key, &user.id, clock.wall());
            let inside = session::login_answer(&cloud, user, &key);
            let body = write::body("loginresponse", &inside, format, None);
            let mut answer = written(200, body, format);
            append(
                &mut answer,
                "Set-Cookie",
                &format!("sessionkey={key};HttpOnly;SameSite=Lax"),
            );
            answer
        }
    };
    append(&mut answer, "Set-Cookie", &cookie);
    append(&mut answer, "Expires", "Thu, 01 Jan 1970 00:00:00 GMT");
    answer
}

fn logout(sandbox: &Sandbox, asked: &Asked<'_>, format: Format) -> Answer {
    let Some(key) = sandbox.sessions().close(asked.cookies) else {
        let text = "Session not found for the logout process.";
        let refusal = super::refused::bad_parameter(text);
        return error("logoutresponse", &refusal, format, false);
    };
    let inside = json!({ "description": "success" });
    let mut answer = written(
        200,
        write::body("logoutresponse", &inside, format, None),
        format,
    );
    append(
        &mut answer,
        "Set-Cookie",
        &format!("sessionkey={key};HttpOnly;SameSite=Lax"),
    );
    for name in ["JSESSIONID", "sessionkey"] {
        let gone = format!("{name}=; Expires=Thu, 01-Jan-1970 00:00:00 GMT; Max-Age=0");
        append(&mut answer, "Set-Cookie", &gone);
    }
    answer
}

/// `POST /sandbox/faults`: `name=…&count=…`; 0 switches off.
fn switch(sandbox: &Sandbox, form: &[u8]) -> Answer {
    let params = ParamMap::parse_as_cloudstack(b"", form).unwrap_or_default();
    let name = params.get("name").unwrap_or_default();
    let count = params
        .get("count")
        .map_or(Some(1), |text| text.parse::<u64>().ok());
    let Some(count) = count else {
        return plain(
            400,
            "count must be a whole number, 0 to switch the fault off",
        );
    };
    let fresh = || sandbox.options.clock.random_uuid();
    let moment = Moment {
        now: sandbox.now(),
        fresh: &fresh,
    };
    if name == "restart-cancels-jobs" {
        sandbox.sessions().clear();
    }
    match control::switch(&mut sandbox.change(), name, count, moment) {
        Some(faults) => plain(200, &faults.to_string()),
        None => plain(
            400,
            &format!(
                "`{name}` is no fault; there are {}",
                control::FAULTS.join(", ")
            ),
        ),
    }
}

fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let lines = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='));
    let trimmed = pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    trimmed.collect()
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn success(wrapper: &str, inside: &Value, format: Format) -> Answer {
    let body = write::body(wrapper, inside, format, Some(write::VERSION));
    let mut answer = written(200, body, format);
    append(&mut answer, "Vary", "Accept-Encoding, User-Agent");
    answer
}

fn error(wrapper: &str, refusal: &Refused, format: Format, is_known: bool) -> Answer {
    let wrapper = refusal.wrapper.unwrap_or(wrapper);
    let version = is_known.then_some(write::VERSION);
    let body = error_body(wrapper, &refusal.error, format, version);
    let status = u16::try_from(refusal.error.code).unwrap_or(530);
    let mut answer = written(status, body, format);
    if refusal.error.cs_code.is_some()
        && let Ok(text) = HeaderValue::from_bytes(&description(&refusal.error.text))
    {
        answer.headers_mut().insert("X-Description", text);
    }
    answer
}

fn written(status: u16, body: String, format: Format) -> Answer {
    let mut answer = plain(status, "");
    *answer.body_mut() = Full::new(Bytes::from(body));
    append(&mut answer, "Content-Type", content_type(format));
    for (name, value) in SECURITY_HEADERS {
        append(&mut answer, name, value);
    }
    answer
}

pub(super) fn plain(status: u16, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    answer
}

pub(super) fn append(answer: &mut Answer, name: &str, value: &str) {
    let parts = (
        HeaderName::from_bytes(name.as_bytes()),
        HeaderValue::from_str(value),
    );
    if let (Ok(name), Ok(value)) = parts {
        answer.headers_mut().append(name, value);
    }
}
