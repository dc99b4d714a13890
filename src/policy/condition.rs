//! Pure: the optional `when` of an access rule: a condition in CEL, compiled when the files are
//! read and evaluated with texts and whole numbers only.
//!
//! CEL has no cost limit of its own: sources are short, and no comprehension stands in another.
//! The only lists to go through are the caller's domains and the call's parameters, both bounded.

use crate::policy::admission::{AccountKind, Admission, class_name};
use cel::common::ast::{Expr, IdedExpr};
use cel::objects::{Map, Value};
use cel::{Context, Program};
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::sync::Arc;

/// Most characters of a condition.
pub const SOURCE_CHARACTERS_MAX: usize = 512;

/// The names that a condition may use.
const NAMES: [&str; 13] = [
    "command",
    "class",
    "params",
    "zone",
    "address",
    "hour",
    "weekday",
    "account",
    "accountname",
    "user",
    "kind",
    "role",
    "domains",
];
/// The first of those that speak of the caller.
const CALLER_FROM: usize = 7;

/// A condition that was compiled and tried.
#[derive(Clone)]
pub struct Condition {
    source: String,
    program: Arc<Program>,
    context: Arc<Context<'static, 'static>>,
    asks_caller: bool,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
impl Eq for Condition {}
impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Condition({:?})", self.source)
    }
}

/// The root of every evaluation: making one for each call would cost ten times the call itself.
#[derive(Clone)]
pub struct Conditions(Arc<Context<'static, 'static>>);

impl Default for Conditions {
    fn default() -> Self {
        Self(Arc::new(Context::default()))
    }
}

impl Conditions {
    /// Compiles a condition and tries it on two requests: one without parameters, one with every
    /// parameter that it names.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn compile(&self, source: &str) -> Result<Condition, String> {
        if source.chars().count() > SOURCE_CHARACTERS_MAX {
            return Err(format!("is over {SOURCE_CHARACTERS_MAX} characters"));
        }
        let program = Program::compile(source).map_err(|e| {
            let told = e.to_string().replace('\n', " ");
            format!("is not CEL: {told}")
        })?;
        let seen = Seen::of(program.expression());
        if seen.nested {
            return Err("has a comprehension inside another".to_owned());
        }
        let references = program.references();
        let used = references.variables();
        if let Some(name) = used.iter().find(|name| !NAMES.contains(*name)) {
            // A comprehension's own variable is told as a reference too.
            if !name.starts_with('@') && !seen.own.iter().any(|own| own == *name) {
                return Err(format!("uses `{name}`; known are {}", NAMES.join(", ")));
            }
        }
        let asks_caller = used
            .iter()
            .any(|name| NAMES.iter().position(|n| n == name) >= Some(CALLER_FROM));
        drop(references);
        let condition = Condition {
            source: source.to_owned(),
            program: Arc::new(program),
            context: self.0.clone(),
            asks_caller,
        };
        let none = HashMap::new();
        let all = seen
            .params
            .iter()
            .map(|name| (name.clone(), "1".to_owned()));
        for params in [none, all.collect()] {
            let given = !params.is_empty();
            condition.run(sample(), params).map_err(|fault| {
                let with = if given { "with" } else { "without" };
                format!(
                    "cannot be told for a request {with} its parameters: {fault}; ask \
                     has(params.name) first"
                )
            })?;
        }
        Ok(condition)
    }
}

/// What a compiled expression is made of.
#[derive(Default)]
struct Seen {
    nested: bool,
    params: Vec<String>,
    own: Vec<String>,
}

impl Seen {
    fn of(expression: &IdedExpr) -> Self {
        let mut seen = Self::default();
        seen.walk(&expression.expr, false);
        seen
    }

    fn walk(&mut self, expr: &Expr, inside: bool) {
        match expr {
            Expr::Call(call) => {
                if let Some(target) = &call.target {
                    self.walk(&target.expr, inside);
                }
                call.args
                    .iter()
                    .for_each(|arg| self.walk(&arg.expr, inside));
                self.index(&call.args);
            }
            Expr::Comprehension(one) => {
                self.nested |= inside;
                self.own.push(one.iter_var.clone());
                self.own.push(one.accu_var.clone());
                self.own.extend(one.iter_var2.clone());
                for part in [
                    &one.iter_range,
                    &one.accu_init,
                    &one.loop_cond,
                    &one.loop_step,
                    &one.result,
                ] {
                    self.walk(&part.expr, true);
                }
            }
            Expr::List(list) => list
                .elements
                .iter()
                .for_each(|e| self.walk(&e.expr, inside)),
            Expr::Select(select) => {
                if matches!(&select.operand.expr, Expr::Ident(name) if name == "params") {
                    self.params.push(select.field.clone());
                }
                self.walk(&select.operand.expr, inside);
            }
            // Maps and structs have no use in a condition; they may hide what is looked for.
            Expr::Map(_) | Expr::Struct(_) => self.nested = true,
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    /// `params["details[0].memory"]`.
    fn index(&mut self, args: &[IdedExpr]) {
        use cel::common::ast::LiteralValue;
        if let [of, by] = args
            && matches!(&of.expr, Expr::Ident(name) if name == "params")
            && let Expr::Literal(LiteralValue::String(name)) = &by.expr
        {
            self.params.push(name.inner().to_owned());
        }
    }
}

/// The facts besides the parameters.
struct Facts {
    texts: [(&'static str, String); 9],
    numbers: [(&'static str, i64); 2],
    domains: Vec<String>,
}

fn sample() -> Facts {
    let text = |name: &'static str| (name, "sample".to_owned());
    Facts {
        texts: [
            text("command"),
            text("class"),
            text("zone"),
            text("address"),
            text("account"),
            text("accountname"),
            text("user"),
            text("kind"),
            text("role"),
        ],
        numbers: [("hour", 12), ("weekday", 1)],
        domains: vec!["sample".to_owned()],
    }
}

impl Condition {
    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it speaks of the caller.
    #[must_use]
    pub const fn asks_caller(&self) -> bool {
        self.asks_caller
    }

    /// Whether it holds for a call.
    ///
    /// # Errors
    /// Why that cannot be told; the rule then decides for the safe side.
    pub fn holds(&self, asked: &Admission<'_>) -> Result<bool, String> {
        let params = asked.params.iter();
        let params = params.map(|(lower, param)| (lower.to_owned(), param.value.clone()));
        self.run(facts(asked), params.collect())
    }

    fn run(&self, facts: Facts, params: HashMap<String, String>) -> Result<bool, String> {
        let mut scope = self.context.new_inner_scope();
        for (name, text) in facts.texts {
            scope.add_variable_from_value(name, Value::String(Arc::new(text)));
        }
        for (name, number) in facts.numbers {
            scope.add_variable_from_value(name, Value::Int(number));
        }
        let text = |text: String| Value::String(Arc::new(text));
        let domains = facts.domains.into_iter().map(text).collect();
        scope.add_variable_from_value("domains", Value::List(Arc::new(domains)));
        scope.add_variable_from_value("params", Value::Map(Map::from(params)));
        match self.program.execute(&scope) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

fn facts(asked: &Admission<'_>) -> Facts {
    let actor = asked.actor;
    let of = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let now = jiff::Timestamp::from_microsecond(asked.at.micros()).unwrap_or_default();
    let now = now.to_zoned(TimeZone::UTC);
    Facts {
        texts: [
            ("command", asked.command.to_owned()),
            ("class", class_name(asked.class).to_owned()),
            ("zone", of(asked.zone())),
            (
                "address",
                asked.address.map(|a| a.to_string()).unwrap_or_default(),
            ),
            ("account", of(actor.map(|a| a.account.as_str()))),
            ("accountname", of(actor.map(|a| a.account_name.as_str()))),
            ("user", of(actor.and_then(|a| a.user.as_deref()))),
            ("kind", of(actor.map(|a| AccountKind::name(a.kind)))),
            ("role", of(actor.and_then(|a| a.role.as_deref()))),
        ],
        numbers: [
            ("hour", i64::from(now.hour())),
            ("weekday", i64::from(now.weekday().to_monday_one_offset())),
        ],
        domains: asked.domains().to_vec(),
    }
}
