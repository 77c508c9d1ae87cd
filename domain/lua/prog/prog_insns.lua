-- A program's instructions as they were loaded, a page at a time.
local kernel = use("kernel")
local call = redis.call

local prog_insns = { sys = {} }
local INSN_BYTES = 8

-- Names of the distinct maps of a list of ids, each after its id.
local function names(ids)
  local seen, rows = {}, {}
  for id in ids:gmatch("%d+") do
    if not seen[id] then
      seen[id] = true
      rows[#rows + 1] = id
      rows[#rows + 1] = call("HGET", kernel.key("map", id), "map_name") or ""
    end
  end
  return rows
end

-- How many instructions there are, at most `limit` from `start` on, the id behind each index that
-- these name a map by, and the maps' names.
function prog_insns.sys.prog_insns(id, start, limit)
  use("cred").need_admin("reading a prog by id")
  if not call("ZSCORE", kernel.key("ids:prog"), id) then
    kernel.fail("ENOENT", "no prog has id " .. id)
  end
  local count, ids = unpack(call("HMGET", kernel.key("prog", id), "insn_cnt", "maps"))
  local first = tonumber(start) * INSN_BYTES
  local last = first + tonumber(limit) * INSN_BYTES - 1
  return count, call("GETRANGE", kernel.key("insns", id), first, last), ids, names(ids)
end

return prog_insns
