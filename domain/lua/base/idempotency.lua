-- Idempotency of requests: the first answer to a request with a record is kept for a day and given to
-- every repeat of it. The names of records and the fingerprints come from redis/idempotency.ts.
-- Invariant: an answer and the changes it reports are written by the same call, or neither is.
local kernel = use("base/kernel")
local clock = use("base/clock")
local layout = use("base/layout")
local session = use("base/session")
local call = redis.call

local idempotency = {}

-- How long the first answer is kept.
local KEEP_MS = 86400000

-- Replies that say that nothing was done and nothing was decided.
local UNKEPT = { FAULT = true, TOKEN = true, ENDED = true, STALE = true, WRITES = true, DUE = true }

-- A command that is the first half of a request leaves the record to the second half: all of it, or its
-- successes while its failures end the request.
local function is_kept(command, reply)
  local code, half = reply[1], kernel.first_half[command]
  local succeeded = code == "" or code == "+"
  if half == "all" or (half == "success" and succeeded) then return false end
  -- What a namespace that is being deleted refuses, it does not refuse once it is gone.
  return not UNKEPT[code] and (succeeded or not current.deleting)
end

-- The token that session_create answers ends with the namespace, so that its record counts in one generation.
local function generation_of(command)
  return command == "session_create" and layout.generation() or ""
end

-- The fingerprint and the reply of the record, if it counts.
local function read(key)
  local kept = call("HMGET", key, "fingerprint", "reply", "generation")
  local generation = kept[3] or ""
  if generation == "" or generation == layout.generation() then return kept[1], kept[2] end
end

-- The first answer, its code "" replaced by "=", so that the service can tell a repeat.
local function remembered(packed)
  local reply = cmsgpack.unpack(packed)
  if reply[1] == "" or reply[1] == "+" then reply[1] = "=" end
  return reply
end

-- Answers a repeat from the record; else runs the command by attempt() and keeps its answer.
function idempotency.once(record, fingerprint, command, attempt)
  clock.read()
  local key = kernel.key("idem", record)
  local first, kept = read(key)
  if first then
    if first ~= fingerprint then
      return { "IDEMPOTENCY", "the Idempotency-Key was used with another request: choose a new key" }
    end
    -- A repeat renews its session, too.
    if current.sid ~= "" then pcall(session.enter) end
    return remembered(kept)
  end
  local reply = attempt()
  if is_kept(command, reply) then
    call("HSET", key, "fingerprint", fingerprint, "reply", cmsgpack.pack(reply),
      "generation", generation_of(command))
    call("PEXPIRE", key, KEEP_MS)
  end
  return reply
end

return idempotency
