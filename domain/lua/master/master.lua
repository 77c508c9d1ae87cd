-- The entry of calls that belong to a master and not to a namespace.
-- Input: the keys of its heartbeat and its registry (due, names); then the operation and its arguments.
-- Output: a list, empty for most operations.
-- Invariant: what is given is right by construction, so nothing is raised but by Redis.
local heartbeat = use("master/heartbeat")
local registry = use("master/registry")

local operations = {}

-- Output: "id lost tick", then each due namespace that it claims for the caller, and the claim.
function operations.beat(keys, limit)
  local beat, now = heartbeat.beat(keys.heartbeat)
  return { beat, unpack(registry.claim_due(keys.due, now, tonumber(limit))) }
end

function operations.register(keys, name, delay)
  registry.register(keys, name, tonumber(delay))
  return {}
end

function operations.claim(keys, name)
  return { registry.claim(keys, name) }
end

function operations.settle(keys, name, claimed, delay)
  registry.settle(keys, name, claimed, tonumber(delay))
  return {}
end

function operations.forget(keys, name, claimed)
  registry.forget(keys, name, claimed)
  return {}
end

function operations.claim_any(keys, limit)
  return registry.claim_any(keys, tonumber(limit))
end

return function(keys, args)
  local named = { heartbeat = keys[1], due = keys[2], names = keys[3] }
  return operations[args[1]](named, unpack(args, 2))
end
