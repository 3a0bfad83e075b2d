use proptest::prelude::*;

use super::*;
use crate::policy::strategy::policy as any_policy;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_policy_is_its_resources(policy in any_policy()) {
        let mut built = Policy::default();
        for resource in policy.resources() {
            built.put(resource);
        }
        prop_assert_eq!(built, policy);
    }

    #[test]
    fn a_delta_leads_from_one_policy_to_another(old in any_policy(), new in any_policy()) {
        let delta = old.delta_to(&new);
        let mut changed = old.clone();
        changed.apply(delta.clone());
        prop_assert_eq!(&changed, &new);
        prop_assert!(changed.delta_to(&new).is_empty());
        prop_assert_eq!(delta.is_empty(), old == new);
        // It names nothing twice and nothing that stays as it is.
        let mut keys: Vec<ResourceKey> = delta.upserts.iter().map(Resource::key).collect();
        keys.extend(delta.removals);
        let count = keys.len();
        keys.sort();
        keys.dedup();
        prop_assert_eq!(keys.len(), count);
        for key in keys {
            prop_assert_ne!(old.get(&key), new.get(&key));
        }
    }

    #[test]
    fn what_is_put_is_found_and_what_is_removed_is_gone(policy in any_policy()) {
        for resource in policy.resources() {
            let key = resource.key();
            prop_assert_eq!(policy.get(&key), Some(resource));
            prop_assert_eq!(ResourceKey::new(key.kind(), key.name()), Ok(key.clone()));
            let mut less = policy.clone();
            less.remove(&key);
            prop_assert_eq!(less.get(&key), Policy::default().get(&key));
        }
    }
}
