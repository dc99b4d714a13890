//! Edge: our own signed calls to CloudStack, with a service account that only reads.
//!
//! Every call asks for XML: a tenant's free text can spoil any JSON answer that shows it. Lists
//! that reconcile carry `listall=true&projectid=-1`, without which project resources are missing.

use super::servers::{Fleet, Servers};
use super::{Sent, UpstreamError};
use crate::clock::Clock;
use crate::cloudstack::envelope::{self, Answer};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::{signature, time};
use crate::terms::limits;
use crate::terms::time::SECOND;
use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, Full};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;

/// Our own calls answer in milliseconds; one that takes longer is given up.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long a signature of ours may be used.
const SIGNATURE_SECONDS: i64 = 600;

/// A service account at one management server.
#[derive(Debug)]
pub struct Service {
    fleet: Fleet,
    key: String,
    secret: SecretString,
    clock: Clock,
}

impl Service {
    /// The account with this key and secret at `server` (`host:port`).
    #[must_use]
    pub fn new(
        server: String,
        host: String,
        key: String,
        secret: SecretString,
        clock: Clock,
    ) -> Self {
        let servers = Servers::new([(server, host)]);
        Self::of(Arc::new(servers), key, secret, clock)
    }

    /// The account with this key and secret at these servers; a call goes to one that takes it.
    #[must_use]
    pub fn of(servers: Arc<Servers>, key: String, secret: SecretString, clock: Clock) -> Self {
        let fleet = Fleet::new(servers, &clock);
        Self {
            fleet,
            key,
            secret,
            clock,
        }
    }

    /// One call. An error answer of CloudStack is an [`Answer`] too, not a fault.
    ///
    /// # Errors
    /// [`UpstreamError`] where CloudStack could not be asked or its answer not be read.
    pub async fn call(
        &self,
        command: &str,
        params: &[(&str, &str)],
    ) -> Result<Answer, UpstreamError> {
        let request = self.request(command, params)?;
        let exchange = async {
            let (answer, sender, connections) = self.fleet.send(request, false, None).await?;
            let status = answer.status().as_u16();
            let body = self.read(answer.into_body()).await?;
            connections.keep(sender);
            envelope::read_xml(status, &body).map_err(|e| self.fault(e.to_string()))
        };
        tokio::time::timeout(ANSWER_MAX, exchange)
            .await
            .map_err(|_| self.fault(format!("{command} was not answered within 30 s")))?
    }

    /// What a list says of one thing; none where CloudStack does not know its id, which is 431 and
    /// nothing else: with any other error it was not asked.
    ///
    /// # Errors
    /// As [`Service::call`], and for every other error answer.
    pub async fn find(
        &self,
        command: &str,
        params: &[(&str, &str)],
    ) -> Result<Option<crate::cloudstack::tree::Node>, UpstreamError> {
        let answer = self.call(command, params).await?;
        match answer.error {
            None => Ok(Some(answer.node)),
            Some(error) if error.code == 431 => Ok(None),
            Some(error) => Err(self.fault(format!("{command}: {} {}", error.code, error.text))),
        }
    }

    /// Every row of a list, page by page, oldest page order kept.
    ///
    /// # Errors
    /// As [`Service::call`]; an error answer of CloudStack is a fault here.
    pub async fn list(
        &self,
        command: &str,
        item: &str,
        params: &[(&str, &str)],
    ) -> Result<Vec<crate::cloudstack::tree::Node>, UpstreamError> {
        let mut rows = Vec::new();
        let size = limits::PAGE_ROWS.to_string();
        for page in 1..=limits::PAGES_MAX {
            let page = page.to_string();
            let mut all = params.to_vec();
            all.extend([("page", page.as_str()), ("pagesize", size.as_str())]);
            let answer = self.call(command, &all).await?;
            if let Some(error) = answer.error {
                return Err(self.fault(format!("{command}: {} {}", error.code, error.text)));
            }
            let before = rows.len();
            rows.extend(
                answer
                    .node
                    .children
                    .into_iter()
                    .filter(|node| node.name == item),
            );
            if rows.len().saturating_sub(before) < limits::PAGE_ROWS {
                return Ok(rows);
            }
        }
        Err(self.fault(format!(
            "{command} has more than {} pages",
            limits::PAGES_MAX
        )))
    }

    fn request(
        &self,
        command: &str,
        params: &[(&str, &str)],
    ) -> Result<Request<Full<Bytes>>, UpstreamError> {
        let expires = time::print(
            self.clock
                .wall()
                .plus(SIGNATURE_SECONDS.saturating_mul(SECOND)),
        );
        let mut map = ParamMap::default();
        for (name, value) in params {
            map.insert(name, value);
        }
        for (name, value) in [
            ("command", command),
            ("apiKey", self.key.as_str()),
            ("response", "xml"),
            ("signatureVersion", "3"),
            ("expires", expires.as_str()),
        ] {
            map.insert(name, value);
        }
        let signed = signature::sign(&map, self.secret.expose_secret().as_bytes());
        map.insert("signature", &signed);
        Request::get(format!("/client/api?{}", map.to_wire()))
            .header("User-Agent", "faregate")
            .body(Full::default())
            .map_err(|e| self.fault(e.to_string()))
    }

    async fn read(&self, mut body: hyper::body::Incoming) -> Result<Bytes, UpstreamError> {
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| self.fault(e.to_string()))?;
            if let Some(data) = frame.data_ref() {
                if read.len().saturating_add(data.len()) > limits::ANSWER_BYTES_MAX {
                    return Err(self.fault("an answer is over 8 MiB".to_owned()));
                }
                read.extend_from_slice(data);
            }
        }
        Ok(read.freeze())
    }

    fn fault(&self, what: String) -> UpstreamError {
        let server = self.fleet.name();
        UpstreamError {
            server,
            what,
            sent: Sent::Unknown,
        }
    }
}
