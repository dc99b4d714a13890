//! A client that logs in as the web interface does: POST login, cookies, `sessionkey`.

use crate::stage::{Heard, address_of, exchange};
use faregate::cloudstack::query::ParamMap;

/// Cookies and session key at an endpoint.
#[derive(Clone, Debug)]
pub struct Browser {
    pub endpoint: String,
    pub cookies: Vec<(String, String)>,
    pub key: String,
}

impl Browser {
    /// Nobody yet.
    pub fn new(endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            cookies: Vec::new(),
            key: String::new(),
        }
    }

    /// A live session of a demo customer.
    pub fn login(endpoint: &str, user: &str) -> Self {
        let mut browser = Self::new(endpoint);
        let heard = browser.send_login(user, "demo-password");
        assert_eq!(heard.status, 200, "{heard:?}");
        browser
    }

    /// Sends a login and keeps what it sets.
    pub fn send_login(&mut self, user: &str, password: &str) -> Heard {
        let heard = self.post(&[
            ("command", "login"),
            ("response", "json"),
            ("username", user),
            ("password", password),
            ("domain", user),
        ]);
        if heard.status == 200 {
            self.key = heard.inside()["sessionkey"].as_str().unwrap().to_owned();
        }
        heard
    }

    /// A GET in the session, with its key as a parameter.
    pub fn call(&mut self, command: &str, params: &[(&str, &str)]) -> Heard {
        let key = self.key.clone();
        let mut all = vec![("command", command), ("response", "json")];
        all.extend_from_slice(params);
        if !key.is_empty() {
            all.push(("sessionkey", &key));
        }
        self.get(&all)
    }

    /// A GET with these parameters alone, and the cookies.
    pub fn get(&mut self, params: &[(&str, &str)]) -> Heard {
        let target = format!("/client/api?{}", wire(params));
        self.raw("GET", &target, "")
    }

    /// A form.
    pub fn post(&mut self, params: &[(&str, &str)]) -> Heard {
        self.raw("POST", "/client/api", &wire(params))
    }

    /// Any request, with the cookies; keeps what its answer sets.
    pub fn raw(&mut self, method: &str, target: &str, form: &str) -> Heard {
        let address = address_of(&self.endpoint);
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = match pairs.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", pairs.join("; ")),
        };
        let body = match method {
            "POST" => format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            ),
            _ => "\r\n".to_owned(),
        };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {address}\r\n{cookies}Connection: close\r\n{body}"
        );
        let heard = exchange(&address, &request).unwrap();
        for line in heard.head.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.eq_ignore_ascii_case("set-cookie") {
                self.keep(value.trim());
            }
        }
        heard
    }

    /// As a browser does: a cookie whose age is over goes.
    fn keep(&mut self, line: &str) {
        let pair = line.split(';').next().unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        self.cookies.retain(|(kept, _)| kept != name);
        if !line.contains("Max-Age=0") {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> String {
        let found = self.cookies.iter().find(|(kept, _)| kept == name);
        found
            .unwrap_or_else(|| panic!("no cookie {name}"))
            .1
            .clone()
    }

    /// Sets a cookie in the jar.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.retain(|(kept, _)| kept != name);
        self.cookies.push((name.to_owned(), value.to_owned()));
    }
}

fn wire(params: &[(&str, &str)]) -> String {
    let mut map = ParamMap::default();
    for (name, value) in params {
        map.insert(name, value);
    }
    map.to_wire()
}
