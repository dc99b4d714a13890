//! Pure: how long a parameter's value may be, by CloudStack's own schema (`length` in `listApis`).
//!
//! Every parameter that is not named here takes 255 characters. Of a list each item counts, as
//! CloudStack measures them.

use super::query::{ParamMap, ParseFault};
use crate::terms::limits;

/// Command, parameter in lower case, UTF-16 units of its value; sorted.
const LONGER: [(&str, &str, usize); 85] = [
    ("addImageStore", "url", 2_048),
    ("addObjectStoragePool", "url", 2_048),
    ("configureSimulator", "jsonresponse", 4_096),
    ("createAutoScaleVmProfile", "userdata", 1_048_576),
    ("createDiskOffering", "displaytext", 4_096),
    ("createDiskOffering", "tags", 4_096),
    ("createGlobalLoadBalancerRule", "description", 4_096),
    ("createGuiTheme", "accountids", 65_535),
    ("createGuiTheme", "commonnames", 65_535),
    ("createGuiTheme", "css", 65_535),
    ("createGuiTheme", "description", 4_096),
    ("createGuiTheme", "domainids", 65_535),
    ("createGuiTheme", "jsonconfiguration", 65_535),
    ("createGuiTheme", "name", 2_048),
    ("createLoadBalancer", "description", 4_096),
    ("createLoadBalancerRule", "description", 4_096),
    ("createNetworkOffering", "tags", 4_096),
    ("createSecondaryStagingStore", "url", 2_048),
    ("createTemplate", "displaytext", 4_096),
    ("createTemplate", "url", 2_048),
    ("createVMFromBackup", "extraconfig", 5_120),
    ("createVMFromBackup", "userdata", 1_048_576),
    ("deployVirtualMachine", "extraconfig", 5_120),
    ("deployVirtualMachine", "userdata", 1_048_576),
    ("deployVnfAppliance", "extraconfig", 5_120),
    ("deployVnfAppliance", "userdata", 1_048_576),
    ("extractIso", "url", 2_048),
    ("extractTemplate", "url", 2_048),
    ("extractVolume", "url", 2_048),
    ("generateAlert", "description", 999),
    ("getUploadParamsForIso", "displaytext", 4_096),
    ("getUploadParamsForTemplate", "displaytext", 4_096),
    ("issueCertificate", "csr", 65_535),
    ("listNetworkOfferings", "tags", 4_096),
    ("quotaEmailTemplateUpdate", "templatebody", 512_000),
    ("quotaTariffCreate", "activationrule", 65_535),
    ("quotaTariffCreate", "description", 65_535),
    ("quotaTariffCreate", "name", 65_535),
    ("quotaTariffUpdate", "activationrule", 65_535),
    ("quotaTariffUpdate", "description", 65_535),
    ("quotaTariffUpdate", "name", 65_535),
    ("quotaValidateActivationRule", "activationrule", 65_535),
    ("registerCniConfiguration", "cniconfig", 1_048_576),
    ("registerIso", "displaytext", 4_096),
    ("registerIso", "url", 2_048),
    ("registerSSHKeyPair", "publickey", 5_120),
    ("registerTemplate", "displaytext", 4_096),
    ("registerTemplate", "url", 2_048),
    ("registerUserData", "userdata", 1_048_576),
    ("registerVnfTemplate", "displaytext", 4_096),
    ("registerVnfTemplate", "url", 2_048),
    ("resetUserDataForVirtualMachine", "userdata", 1_048_576),
    ("samlSlo", "samlrequest", 65_535),
    ("samlSlo", "samlresponse", 65_535),
    ("samlSso", "samlresponse", 65_535),
    ("updateAutoScaleVmProfile", "userdata", 1_048_576),
    ("updateConfiguration", "value", 4_096),
    ("updateDiskOffering", "displaytext", 4_096),
    ("updateDiskOffering", "domainid", 4_096),
    ("updateGlobalLoadBalancerRule", "description", 4_096),
    ("updateGuiTheme", "accountids", 65_535),
    ("updateGuiTheme", "commonnames", 65_535),
    ("updateGuiTheme", "css", 65_535),
    ("updateGuiTheme", "description", 4_096),
    ("updateGuiTheme", "domainids", 65_535),
    ("updateGuiTheme", "jsonconfiguration", 65_535),
    ("updateGuiTheme", "name", 2_048),
    ("updateIso", "displaytext", 4_096),
    ("updateLoadBalancerRule", "description", 4_096),
    ("updateNetworkOffering", "tags", 4_096),
    ("updateNetworkOffering", "zoneid", 4_096),
    ("updateServiceOffering", "domainid", 4_096),
    ("updateTemplate", "displaytext", 4_096),
    ("updateVPCOffering", "domainid", 4_096),
    ("updateVirtualMachine", "extraconfig", 5_120),
    ("updateVirtualMachine", "userdata", 1_048_576),
    ("updateVnfTemplate", "displaytext", 4_096),
    ("uploadCustomCertificate", "certificate", 65_535),
    ("uploadCustomCertificate", "privatekey", 65_535),
    ("uploadResourceIcon", "base64image", 2_097_152),
    ("uploadSslCert", "certchain", 2_097_152),
    ("uploadSslCert", "certificate", 16_384),
    ("uploadSslCert", "privatekey", 16_384),
    (
        "uploadTemplateDirectDownloadCertificate",
        "certificate",
        65_535,
    ),
    ("uploadVolume", "url", 2_048),
];

/// Characters (UTF-16 units, as Java counts) that the value of a command's parameter may have.
#[must_use]
pub fn max(command: &str, lower: &str) -> usize {
    let base = lower.split(['[', '.']).next().unwrap_or(lower);
    LONGER
        .binary_search_by(|(c, p, _)| (*c, *p).cmp(&(command, base)))
        .ok()
        .and_then(|at| LONGER.get(at))
        .map_or(limits::VALUE_BYTES_MAX, |(_, _, length)| *length)
}

/// Whether a value has no more characters than that.
#[must_use]
pub fn fits(value: &str, max: usize) -> bool {
    value.len() <= max || value.encode_utf16().take(max.saturating_add(1)).count() <= max
}

/// Whether no item of a list has more characters than that.
#[must_use]
pub fn items_fit(value: &str, max: usize) -> bool {
    value.len() <= max || value.split(',').all(|item| fits(item, max))
}

/// Checks every value of a call.
///
/// # Errors
/// [`ParseFault::TooLong`] for the first that is over its length.
pub fn check(map: &ParamMap) -> Result<(), ParseFault> {
    let command = map.command();
    for (lower, param) in map.iter() {
        let max = max(command, lower);
        if !items_fit(&param.value, max) {
            return Err(ParseFault::TooLong(param.name.clone(), max));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(LONGER.is_sorted());
        assert_eq!(max("deployVirtualMachine", "userdata"), 1_048_576);
        assert_eq!(max("deployVirtualMachine", "displayname"), 255);
        assert_eq!(max("listZones", "userdata"), 255);
    }

    #[test]
    fn characters_count_as_cloudstack_counts_them_and_lists_by_item() {
        assert!(fits(&"x".repeat(255), 255));
        assert!(!fits(&"x".repeat(256), 255));
        assert!(fits(&"\u{4e1c}".repeat(255), 255));
        assert!(!fits(&"\u{1f600}".repeat(128), 255));
        let ids = vec!["1d8d87d4-1425-459c-8d81-c6f57dca2bd2"; 40].join(",");
        assert!(items_fit(&ids, 255));
        assert!(!fits(&ids, 255));
    }

    #[test]
    fn a_value_over_its_length_is_refused_by_name() {
        let query = format!("command=listZones&keyword={}", "x".repeat(300));
        let map = ParamMap::parse(query.as_bytes(), b"").unwrap();
        assert_eq!(
            check(&map),
            Err(ParseFault::TooLong("keyword".to_owned(), 255))
        );
    }
}
