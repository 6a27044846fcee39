"""The steps of the search for the best modules, compiled.

A partition is `labels`, with modules 0..k-1, its `size`s and `pull[c, i]` = sum_{j in c} B_ij: what unit i gains by
being in module c, but for a factor 2. B is the quality matrix, symmetric and with a diagonal of 0, which is the same in
every partition. A move of a unit costs O(units), to see whether one pays O(modules).

Where most pairs have no link, `descend_on_links` goes through the links alone. B is then Ã_ij - s_i s_j for s = √γ a.
"""

import numpy as np
from numba import njit

GAIN = 1e-12  # of Q that counts as a gain: less may be rounding, on a scale where all weights sum up to 1
ROUNDS = 6  # per unit, and
MOST_ROUNDS = 400  # at most, which are the first to be planned
STILL_RISING = 2  # rounds planned anew for each one that it took to reach the best Q,
LONGEST = 3  # up to so many times the first ones
HOT = 0.03  # share of Q that the first rounds may lose


@njit(cache=True)
def search(matrix: np.ndarray, seed: int, patience: int) -> np.ndarray:
    """Best labels of an iterated local search for the quality matrix B.

    A round takes the module of a random unit and a random module, which may be the same one, and divides their units
    anew, by which of two random units among them each is more alike. Then it goes down to the next local optimum. The
    next round starts from there if Q rose, or fell by less than a share of the best Q, which shrinks from HOT to 0 at
    the last round. The later the best Q was found, the harder the matrix is, and the more rounds there are: their
    number is planned anew then. All is `patience` times as long.
    """
    n_units = len(matrix)
    state = _random_state(seed)
    labels, size = np.arange(n_units), np.ones(n_units + 1, np.int64)
    pull = np.empty((n_units + 1, n_units))  # one row more than there can be modules, for a new one
    pull[:n_units] = matrix
    order = _shuffled(n_units, state)
    k, quality = _descend(matrix, labels, pull, size, n_units, order, 0)

    planned = patience * min(MOST_ROUNDS, ROUNDS * n_units)
    step, end = 0, planned
    best, best_quality = labels.copy(), quality
    start, start_k = labels.copy(), k
    start_pull, start_size = np.empty_like(pull), size.copy()
    start_pull[:k] = pull[:k]
    members, side = np.empty(n_units, np.int64), np.empty(n_units, np.int64)
    while step < end:
        step += 1
        one, other = labels[_below(n_units, state)], _below(k, state)
        k, rise = _divide_anew(matrix, labels, pull, size, k, one, other, members, side, state)
        k, more = _move_units(matrix, labels, pull, size, k, order, _below(n_units, state))
        rise += more
        if abs(rise) <= GAIN:  # as a rule it is the same partition again
            continue
        k, more = _merge_and_descend(matrix, labels, pull, size, k, order)
        rise += more
        allowed = HOT * best_quality * (1.0 - step / end)
        if rise > GAIN or -allowed < rise < -GAIN:
            quality += rise
            start[:], start_k = labels, k
            for c in range(k):
                start_size[c] = size[c]
                for i in range(n_units):
                    start_pull[c, i] = pull[c, i]
            if quality > best_quality + GAIN:
                best_quality = quality
                end = min(LONGEST * planned, planned + STILL_RISING * step)
                best[:] = labels
        else:
            labels[:], k = start, start_k
            for c in range(k):
                size[c] = start_size[c]
                for i in range(n_units):
                    pull[c, i] = start_pull[c, i]
    return best


@njit(cache=True)
def _random_state(seed: int) -> np.ndarray:
    state = np.empty(1, np.uint64)
    state[0] = np.uint64(seed) | np.uint64(1)  # it must not be 0
    for _ in range(4):
        _uniform(state)
    return state


@njit(cache=True, inline="always")
def _uniform(state: np.ndarray) -> float:
    """Random number in [0, 1): xorshift64*, Vigna (2016), ACM Trans. Math. Softw. 42:30."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return (x * np.uint64(2685821657736338717) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, inline="always")
def _below(n, state):  # type: ignore[no-untyped-def]
    return np.int64(_uniform(state) * n)


@njit(cache=True)
def _shuffled(n: int, state: np.ndarray) -> np.ndarray:
    order = np.arange(n)
    for last in range(n - 1, 0, -1):
        other = _below(last + 1, state)
        order[last], order[other] = order[other], order[last]
    return order


@njit(cache=True, inline="always")
def _divide_anew(matrix, labels, pull, size, k, one, other, members, side, state):  # type: ignore[no-untyped-def]
    """Divide the units of two modules, or of one, by which of two of them each is more alike."""
    rise, n_members, n_stay = 0.0, 0, 0
    for i in range(len(labels)):
        if labels[i] == one or labels[i] == other:
            members[n_members] = i
            n_members += 1
    first, second = members[_below(n_members, state)], members[_below(n_members, state)]
    if first != second:
        if one == other:
            other = k
        for place in range(n_members):
            i = members[place]
            is_first = i == first or (matrix[i, first] > matrix[i, second] and i != second)
            side[place] = one if is_first else other
            n_stay += side[place] == labels[i]
        for place in range(n_members):
            i, goal = members[place], side[place]
            if 2 * n_stay < n_members:  # the other way round fewer units move
                goal = one + other - goal
            if goal != labels[i] and size[labels[i]] > 1:
                rise += 2.0 * ((0.0 if goal == k else pull[goal, i]) - pull[labels[i], i])
                k = _move(matrix, labels, pull, size, k, i, goal)
    return k, rise


@njit(cache=True)
def _descend(matrix, labels, pull, size, k, order, start):  # type: ignore[no-untyped-def]
    """Move units and merge modules until neither raises Q; the new number of modules, and the rise of Q."""
    k, rise = _move_units(matrix, labels, pull, size, k, order, start)
    k, more = _merge_and_descend(matrix, labels, pull, size, k, order)
    return k, rise + more


@njit(cache=True)
def _merge_and_descend(matrix, labels, pull, size, k, order):  # type: ignore[no-untyped-def]
    rise = 0.0
    while True:
        k_before = k
        k, more = _merge(labels, pull, size, k)
        rise += more
        if k == k_before:
            return k, rise
        k, more = _move_units(matrix, labels, pull, size, k, order, 0)
        rise += more


@njit(cache=True, inline="always")
def _move_units(matrix, labels, pull, size, k, order, start):  # type: ignore[no-untyped-def]
    """Move each unit to where it gains most, in turn, until none gains."""
    n_units = len(labels)
    rise, n_resting, place = 0.0, 0, start
    while n_resting < n_units:
        i = order[place]
        place = place + 1 if place + 1 < n_units else 0
        own = labels[i]
        most = 0.0 if size[own] > 1 else pull[own, i]  # an empty module; who is alone has one already
        for c in range(k):
            most = max(most, pull[c, i])
        if most <= pull[own, i] + GAIN:
            n_resting += 1
            continue
        goal = k
        for c in range(k):
            if pull[c, i] == most:
                goal = c
        rise += 2.0 * (most - pull[own, i])
        k = _move(matrix, labels, pull, size, k, i, goal)
        n_resting = 0
    return k, rise


@njit(cache=True, inline="always")
def _move(matrix, labels, pull, size, k, i, goal):  # type: ignore[no-untyped-def]
    """Move a unit, and keep the sums; `goal` = k is a new module."""
    n_units, own = len(labels), labels[i]
    if goal == k:
        k += 1
        size[goal] = 0
        for j in range(n_units):
            pull[goal, j] = 0.0
    labels[i] = goal
    size[own] -= 1
    size[goal] += 1
    for j in range(n_units):
        pull[own, j] -= matrix[i, j]
    for j in range(n_units):
        pull[goal, j] += matrix[i, j]
    return k if size[own] else _without(labels, pull, size, k, own)


@njit(cache=True)
def _without(labels, pull, size, k, emptied):  # type: ignore[no-untyped-def]
    """The last module takes the number of an emptied one."""
    k -= 1
    if emptied != k:
        size[emptied] = size[k]
        for j in range(len(labels)):
            pull[emptied, j] = pull[k, j]
            if labels[j] == k:
                labels[j] = emptied
    return k


@njit(cache=True)
def _merge(labels, pull, size, k):  # type: ignore[no-untyped-def]
    """Merge the two modules that gain most by it, again and again, until none do."""
    n_units, rise = len(labels), 0.0
    link = np.zeros((k, k))  # sum of B over all pairs from one module to another
    for c in range(k):
        for i in range(n_units):
            link[labels[i], c] += pull[c, i]
    while k > 1:
        most, goes, stays = GAIN, -1, -1
        for c in range(k):
            for d in range(c):
                if link[c, d] > most:
                    most, goes, stays = link[c, d], c, d
        if goes < 0:
            break
        rise += 2.0 * most
        for i in range(n_units):
            if labels[i] == goes:
                labels[i] = stays
            pull[stays, i] += pull[goes, i]
        size[stays] += size[goes]
        for c in range(k):
            link[stays, c] += link[goes, c]
        for c in range(k):
            link[c, stays] += link[c, goes]
        k = _without(labels, pull, size, k, goes)
        for c in range(k + 1):
            link[goes, c] = link[k, c]
        for c in range(k + 1):
            link[c, goes] = link[c, k]
    return k, rise


@njit(cache=True)
def descend_on_links(pointer, neighbour, weight, strength, labels, seed):  # type: ignore[no-untyped-def]
    """Labels of a local optimum from where `labels` starts: units move in random order, then whole modules.

    The neighbours of unit i are neighbour[pointer[i] : pointer[i + 1]], the weights of the links are in `weight`.
    """
    state = _random_state(seed)
    while True:
        labels, k = _numbered(_move_along_links(pointer, neighbour, weight, strength, labels, state))
        grouped = group_matrix(pointer, neighbour, weight, strength, labels, k)
        module, size, pull = np.arange(k), np.ones(k + 1, np.int64), np.empty((k + 1, k))
        pull[:k] = grouped
        k_after, _ = _descend(grouped, module, pull, size, k, np.arange(k), 0)
        if k_after == k:
            return labels
        labels = module[labels]


@njit(cache=True)
def group_matrix(pointer, neighbour, weight, strength, group, n_groups):  # type: ignore[no-untyped-def]
    """The quality matrix B of groups of units, with a diagonal of 0."""
    matrix, mass = np.zeros((n_groups, n_groups)), np.zeros(n_groups)
    for i in range(len(group)):
        mass[group[i]] += strength[i]
        for link in range(pointer[i], pointer[i + 1]):
            matrix[group[i], group[neighbour[link]]] += weight[link]
    for c in range(n_groups):
        for d in range(n_groups):
            matrix[c, d] = matrix[c, d] - mass[c] * mass[d] if c != d else 0.0
    return matrix


@njit(cache=True)
def _numbered(labels):  # type: ignore[no-untyped-def]
    """The same partition with its modules numbered 0..k-1, and k."""
    number, k = np.full(labels.max() + 1, -1), 0
    for i in range(len(labels)):
        if number[labels[i]] < 0:
            number[labels[i]] = k
            k += 1
    return number[labels], k


@njit(cache=True)
def _move_along_links(pointer, neighbour, weight, strength, labels, state):  # type: ignore[no-untyped-def]
    """Move units to the module of a neighbour, or to a new one, until none gains.

    Who has moved gives its neighbours another turn: Traag, Waltman & van Eck (2019), Sci. Rep. 9:5233.
    """
    n_units = len(labels)
    labels = labels.copy()
    size, mass = np.zeros(n_units + 1, np.int64), np.zeros(n_units + 1)
    for i in range(n_units):
        size[labels[i]] += 1
        mass[labels[i]] += strength[i]
    free, n_free = np.empty(n_units + 1, np.int64), 0  # numbers of empty modules
    for c in range(n_units + 1):
        if size[c] == 0:
            free[n_free] = c
            n_free += 1
    linked, seen = np.zeros(n_units + 1), np.empty(n_units + 1, np.int64)
    queue, is_queued = _shuffled(n_units, state), np.ones(n_units, np.bool_)
    head, n_queued = 0, n_units
    while n_queued:
        i = queue[head]
        head = head + 1 if head + 1 < n_units else 0
        n_queued -= 1
        is_queued[i] = False
        own, n_seen = labels[i], 0
        for link in range(pointer[i], pointer[i + 1]):
            c = labels[neighbour[link]]
            if linked[c] == 0.0:
                seen[n_seen] = c
                n_seen += 1
            linked[c] += weight[link]
        stay = linked[own] - strength[i] * (mass[own] - strength[i])
        most, goal = stay + GAIN, own
        for place in range(n_seen):
            c = seen[place]
            gain = linked[c] - strength[i] * mass[c]
            linked[c] = 0.0
            if c != own and gain > most:
                most, goal = gain, c
        if most < 0.0 and size[own] > 1:
            n_free -= 1
            goal = free[n_free]
            mass[goal] = 0.0
        if goal == own:
            continue
        labels[i] = goal
        mass[own] -= strength[i]
        mass[goal] += strength[i]
        size[own] -= 1
        size[goal] += 1
        if size[own] == 0:
            free[n_free] = own
            n_free += 1
        for link in range(pointer[i], pointer[i + 1]):
            j = neighbour[link]
            if labels[j] != goal and not is_queued[j]:
                is_queued[j] = True
                tail = head + n_queued
                queue[tail if tail < n_units else tail - n_units] = j
                n_queued += 1
    return labels
