from lookbook.store.cassandra.hedging import Hedging


def hedges(policy: Hedging, wanted: int) -> int:
    """How many of the wanted hedges the driver sends for one request."""
    plan = policy.new_plan(None, None)
    sent = 0
    while sent < wanted and plan.next_execution(None) >= 0:
        sent += 1
    if sent == wanted:
        plan.next_execution(None)
    return sent


def test_a_request_goes_to_three_nodes_at_most() -> None:
    assert Hedging(0.2).new_plan(None, None).next_execution(None) == 0.2
    assert hedges(Hedging(0.2), 5) == 2


def test_one_slow_node_of_three_is_always_hedged() -> None:
    policy = Hedging(0.2)
    assert all(hedges(policy, int(number % 3 == 0)) == int(number % 3 == 0) for number in range(3000))


def test_hedges_do_not_triple_the_load_when_all_nodes_are_slow() -> None:
    policy = Hedging(0.2)
    assert 800 <= sum(hedges(policy, 2) for _ in range(2000)) <= 850


def test_the_budget_comes_back_when_nodes_are_fast_again() -> None:
    policy = Hedging(0.2)
    for _ in range(1000):
        hedges(policy, 2)
    for _ in range(100):
        hedges(policy, 0)
    assert [hedges(policy, 2) for _ in range(10)] == [2] * 10
