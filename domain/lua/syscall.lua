-- The entry: every call is one command of one namespace, run to its end or not at all.
-- ARGV: command, session id and token hash ("" for a command of nobody's), the idempotency record's id and
-- the request's fingerprint ("" without), then the command's own arguments.
-- Answers { "", values... }, or { errno, detail, log } when it failed; what is left for the sweeper
-- to do is told by "+" instead of "", the first answer to a request that is repeated by "=".
-- Invariant: nothing raised leaves this file, for a table that does ends Redis itself (redis/redis#14163).
local kernel = use("base/kernel")
local clock = use("base/clock")
local work = use("base/work")
local session = use("base/session")
local exit = use("process/exit")
local map = use("map/map")
local call = redis.call
local sys = kernel.sys

-- How long the first answer to an Idempotency-Key is kept.
local KEEP_MS = 86400000

local function run(args)
  clock.read()
  if clock.is_due() then exit.exit_due_sessions() end
  if current.sid ~= "" then session.enter() end
  local reply = { "", sys[args[1]](unpack(args, 6)) }
  if current.queue then work.drain() end
  return reply
end

-- A check raised: nothing was written. Anything else is a bug or Redis' own refusal, told apart by
-- the caller; the text goes as data, for the client library reads words in error replies.
local function failure(raised)
  if type(raised) == "table" and raised.errno then
    if raised.counted then map.count_failure(raised.counted) end
    return { raised.errno, raised.detail, raised.log or false }
  end
  if type(raised) == "table" then raised = raised.err end
  return { "FAULT", tostring(raised) }
end

-- What due sessions left to do is kept even when the command itself failed.
local function attempt(args)
  local ok, reply = pcall(run, args)
  if not ok then reply = failure(reply) end
  if current.queue and work.save() and reply[1] == "" then reply[1] = "+" end
  return reply
end

local UNKEPT = { FAULT = true, TOKEN = true, ENDED = true, STALE = true, WRITES = true }

-- Not kept: what was no answer, and what is for the command after it: all of that, or all but its failures.
local function keeps(command, reply)
  local code, half = reply[1], kernel.first_half[command]
  if half == "all" or (half == "success" and (code == "" or code == "+")) then return false end
  return not UNKEPT[code]
end

local function remembered(args, record, fingerprint)
  clock.read()
  local key = kernel.key("idem", record)
  local kept = call("HMGET", key, "fingerprint", "reply")
  if kept[1] then
    if kept[1] ~= fingerprint then return { "IDEMPOTENCY", "the key was used with another request" } end
    -- A repeat is a sign of life, too.
    if current.sid ~= "" then pcall(session.enter) end
    local reply = cmsgpack.unpack(kept[2])
    if reply[1] == "" or reply[1] == "+" then reply[1] = "=" end
    return reply
  end
  local reply = attempt(args)
  if keeps(args[1], reply) then
    call("HSET", key, "fingerprint", fingerprint, "reply", cmsgpack.pack(reply))
    call("PEXPIRE", key, KEEP_MS)
  end
  return reply
end

-- In place of a command that may grow, on a Redis that is full: its record may have the first answer.
function sys.refused()
  kernel.fail("ENOMEM", "Redis has reached its maxmemory")
end
kernel.first_half.refused = "all"

-- keys: the namespace's root and its `meta`, of which the first never exists: with both declared, a
-- cluster runs nothing while the slot moves. writes: false where Redis was told that nothing is written.
return function(keys, args, writes)
  -- All that every call sets, so that the table is made in its size.
  current = { root = keys[1], meta = keys[2], writes = writes, sid = args[2], token = args[3],
    wall = false, now = false, skew = false, clock = false, queue = false }
  if args[4] == "" then return attempt(args) end
  local ok, reply = pcall(remembered, args, args[4], args[5])
  return ok and reply or failure(reply)
end
