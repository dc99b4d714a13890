//! Pure: what a bucket of object storage costs: all that its quota lets it hold.

use super::call::{bytes, refused};
use super::shape::sized;
use super::{Call, Plan, Thing};
use crate::cloudstack::command::Parent;
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;

impl Call<'_> {
    pub(super) fn bucket(&self) -> Result<Plan, Refusal> {
        if self.params.get("quota") == Some("0") {
            let what = "is 0, and nothing else bounds the price; write GiB";
            return Err(refused("quota", what));
        }
        let quota = self.number_in("quota")?;
        let quota =
            quota.ok_or_else(|| refused("quota", "is missing, and the price hangs on it"))?;
        let bucket = |gib: i64| {
            let mut bucket = sized(UsageType::Bucket, bytes("quota", gib)?, None);
            bucket.attributes.name = self.text("name").unwrap_or_default();
            Ok(bucket)
        };
        let old = self.fact(Thing::Owned(Parent::Bucket), "id");
        let old = old
            .and_then(|bucket| bucket.number_of("quota"))
            .filter(|gib| *gib > 0);
        Ok(Plan {
            after: vec![bucket(quota)?],
            before: old.map(bucket).transpose()?.into_iter().collect(),
        })
    }
}
