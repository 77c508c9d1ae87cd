-- The entry: every call is one command of one namespace, which runs to its end or not at all.
-- Input: ARGV has the command, session id and token hash ("" for a command without a session), the name
-- of the idempotency record and the fingerprint of the request ("" without), the last beat of the master
-- ("" without), then the command's own arguments.
-- Output: { "", values... }, or { errno, detail, log, field } when it failed. Instead of "" the code "+" says
-- that work is left for the sweeper, "=" that the values are the first answer to a repeated request.
-- Invariant: nothing raised leaves this file, for a table that does ends Redis itself (redis/redis#14163).
local kernel = use("base/kernel")
local clock = use("base/clock")
local work = use("base/work")
local work_list = use("base/work_list")
local session = use("base/session")
local idempotency = use("base/idempotency")
local exit = use("process/exit")
local map = use("map/map")
local sys = kernel.sys

-- A share of what due sessions leave. What is left hides from this command by need_released().
local function release_due()
  work.allow(work.SHARE)
  current.is_due = exit.exit_due_sessions()
  current.is_left = work_list.save() or current.is_due
  work.allow(work.OWN)
end

-- The caller's session is entered before others are released, so that their release takes no time from it.
local function run(args)
  clock.read()
  if current.sid ~= "" then session.enter() end
  if clock.is_due() then release_due() end
  local reply = { "", sys[args[1]](unpack(args, 7)) }
  work.drain()
  return reply
end

-- A check raised a table: nothing was written. Anything else is a bug or a refusal of Redis, which the
-- service tells apart; the text goes as data, because the client library parses words in error replies.
local function failure(raised)
  if type(raised) == "table" and raised.errno then
    if raised.counted then map.count_failure(raised.counted) end
    return { raised.errno, raised.detail, raised.log or false, raised.field or false }
  end
  if type(raised) == "table" then raised = raised.err end
  return { "FAULT", tostring(raised) }
end

-- The work that due sessions left is saved even when the command itself failed.
local function attempt(args)
  local ok, reply = pcall(run, args)
  if not ok then reply = failure(reply) end
  local is_left = work_list.save() or current.is_left
  if is_left and reply[1] == "" then reply[1] = "+" end
  return reply
end

--[[
  Replaces a command that may grow, when Redis is full: only a record of the request can answer it.

    Input:  the arguments of the command it replaces; none is read
    Output: never
    Errors:
      ENOMEM  Redis has reached its maxmemory
]]
function sys.refused()
  kernel.fail("ENOMEM", "Redis has reached its maxmemory: free objects or raise maxmemory")
end
kernel.first_half.refused = "all"

-- keys: the namespace's root and its `meta`, of which the first never exists: with both declared, a
-- cluster runs nothing while the slot moves. writes: false where Redis was promised that nothing is written.
return function(keys, args, writes)
  -- Every field that most calls set, so that Lua makes the table in its final size.
  current = { root = keys[1], meta = keys[2], writes = writes, sid = args[2], token = args[3],
    beat = args[6], wall = false, master = false, now = false, clock = false, ttl = false, queue = false,
    late = false, budget = work.OWN }
  local record, fingerprint = args[4], args[5]
  if record == "" then return attempt(args) end
  local ok, reply = pcall(idempotency.once, record, fingerprint, args[1], function() return attempt(args) end)
  return ok and reply or failure(reply)
end
