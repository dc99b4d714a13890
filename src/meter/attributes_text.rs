//! Edge: what a price depends on, as rows and intents keep it.

use super::resource::Attributes;
use crate::terms::ids::ResourceId;
use serde::{Deserialize, Serialize};

/// [`Attributes`] as they are written; a field that is not there is empty, and one piece is meant.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(default)]
pub struct AttributesText {
    name: String,
    offering: Option<String>,
    template: Option<String>,
    zone: Option<String>,
    vcpus: Option<i64>,
    cpu_mhz: Option<i64>,
    memory_mib: Option<i64>,
    size_bytes: Option<i64>,
    source_nat: bool,
    state: Option<String>,
    count: i64,
    vm: Option<String>,
}

impl Default for AttributesText {
    fn default() -> Self {
        Self::from(&Attributes {
            count: 1,
            ..Attributes::default()
        })
    }
}

impl From<&Attributes> for AttributesText {
    fn from(it: &Attributes) -> Self {
        let it = it.clone();
        Self {
            name: it.name,
            offering: it.offering,
            template: it.template,
            zone: it.zone,
            vcpus: it.vcpus,
            cpu_mhz: it.cpu_mhz,
            memory_mib: it.memory_mib,
            size_bytes: it.size_bytes,
            source_nat: it.source_nat,
            state: it.state,
            count: it.count,
            vm: it.vm.map(|vm| vm.to_string()),
        }
    }
}

impl From<AttributesText> for Attributes {
    fn from(it: AttributesText) -> Self {
        Self {
            name: it.name,
            offering: it.offering,
            template: it.template,
            zone: it.zone,
            vcpus: it.vcpus,
            cpu_mhz: it.cpu_mhz,
            memory_mib: it.memory_mib,
            size_bytes: it.size_bytes,
            source_nat: it.source_nat,
            state: it.state,
            count: it.count,
            vm: it.vm.as_deref().map(ResourceId::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AttributesText;
    use crate::meter::resource::Attributes;

    /// The statements of the store read single fields of it, and older rows lack some.
    #[test]
    fn attributes_keep_the_form_that_rows_have() {
        let some = Attributes {
            name: "web".to_owned(),
            vcpus: Some(2),
            count: 3,
            vm: Some("vm".into()),
            ..Attributes::default()
        };
        let text = serde_json::to_string(&AttributesText::from(&some)).unwrap();
        assert_eq!(
            text,
            "{\"name\":\"web\",\"offering\":null,\"template\":null,\"zone\":null,\"vcpus\":2,\
             \"cpu_mhz\":null,\"memory_mib\":null,\"size_bytes\":null,\"source_nat\":false,\
             \"state\":null,\"count\":3,\"vm\":\"vm\"}"
        );
        let read = |text: &str| {
            let text: AttributesText = serde_json::from_str(text).unwrap();
            Attributes::from(text)
        };
        assert_eq!(read(&text), some);
        let bare = Attributes {
            count: 1,
            ..Attributes::default()
        };
        assert_eq!(read("{}"), bare);
    }
}
