use agix_core::policy::{Chain, Model, Policy, Price};
use agix_core::units::{CostRatio, Decimal, PicoUsdPerToken};

use agix_core::price::Catalogue;

use super::*;
use crate::shared::NoSink;

fn name(text: &str) -> ModelName {
    ModelName::new(text).unwrap()
}

fn model(input: u64, output: u64) -> Model {
    Model {
        provider: agix_core::id::ProviderName::new("openai").unwrap(),
        upstream_model: Some("there".to_owned()),
        price: Some(Price {
            input: PicoUsdPerToken::from_picos(input),
            cached_input: None,
            cache_write: None,
            cache_write_1h: None,
            output: PicoUsdPerToken::from_picos(output),
            reasoning: None,
        }),
        context_window: None,
        max_output_tokens: None,
        simulate: None,
    }
}

fn policy() -> Policy {
    let mut policy = Policy::default();
    for (model_name, input, output) in [("main", 10, 40), ("same", 10, 40), ("dear", 90, 120)] {
        policy.models.insert(name(model_name), model(input, output));
    }
    let targets = vec![name("same"), name("dear")];
    policy.chains.insert(
        name("main"),
        Chain {
            targets,
            stream_rescue: None,
        },
    );
    policy
}

fn plan(policy: Policy, revision: u64, cache: &PlanCache, shared: &Shared) -> Arc<Plan> {
    let compiled = Compiled::compile(Revision::new(revision), policy).unwrap();
    cache.get("main", &compiled, shared).unwrap()
}

fn shared() -> Shared {
    Shared::new(Catalogue::bundled(), Arc::new(NoSink), None, None).0
}

#[test]
fn a_plan_is_the_asked_model_and_its_chain_in_order() {
    let plan = plan(policy(), 1, &PlanCache::default(), &shared());
    let models: Vec<_> = plan
        .targets
        .iter()
        .map(|target| target.model.as_str())
        .collect();
    assert_eq!(models, ["main", "same", "dear"]);
    assert!(
        plan.targets
            .iter()
            .all(|target| target.upstream_model == "there")
    );
}

#[test]
fn a_fallback_beyond_the_cost_ratio_is_marked() {
    let mut bounded = policy();
    let two = CostRatio::from_decimal(Decimal::parse("2").unwrap()).unwrap();
    bounded.failover.max_cost_ratio = Some(two);
    let plan = plan(bounded, 1, &PlanCache::default(), &shared());
    let marks: Vec<_> = plan.targets.iter().map(|target| target.too_dear).collect();
    assert_eq!(marks, [false, false, true]);
}

#[test]
fn a_new_revision_makes_new_plans() {
    let (cache, shared) = (PlanCache::default(), shared());
    assert_eq!(plan(policy(), 1, &cache, &shared).targets.len(), 3);
    let mut changed = policy();
    changed.chains.clear();
    assert_eq!(plan(changed, 2, &cache, &shared).targets.len(), 1);
}

#[test]
fn strangers_names_do_not_grow_the_cache_or_the_metrics() {
    let (cache, shared) = (PlanCache::default(), shared());
    let compiled = Compiled::compile(Revision::new(1), Policy::default()).unwrap();
    for number in 0..PLANS + 10 {
        let stranger = format!("gpt-stranger-{number}");
        assert!(cache.get(&stranger, &compiled, &shared).is_ok());
    }
    assert!(cache.kept.lock().unwrap().plans.len() <= PLANS);
    assert!(
        !shared
            .metrics
            .text(agix_core::time::Mono::default())
            .unwrap()
            .contains("stranger")
    );
}

#[test]
fn a_model_nobody_serves_has_no_plan() {
    let compiled = Compiled::compile(Revision::new(1), Policy::default()).unwrap();
    for unknown in ["llama-3", "no such model", ""] {
        assert!(
            PlanCache::default()
                .get(unknown, &compiled, &shared())
                .is_err(),
            "{unknown}"
        );
    }
}
