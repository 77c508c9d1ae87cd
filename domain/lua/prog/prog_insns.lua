-- The command that reads the instructions of a program.
local kernel = use("base/kernel")
local cred = use("base/cred")
local idr = use("file/idr")
local insns = use("prog/insns")
local uapi = use("uapi")
local call = redis.call

local INSN_BYTES = 8
local PAGE_INSNS = uapi.PAGE_INSNS

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

--[[
  Reads instructions of a program (extension; on Linux BPF_OBJ_GET_INFO_BY_FD with xlated_prog_insns).

    Input:
      id     of the program
      start  number of the first instruction
      limit  instructions
    Output:
      count  instructions of the program
      insns  bytes
      ids    of the maps by their index in the instructions, "1,2"
      names  id, name of each map in turn
    Errors:
      EPERM   the caller lacks CAP_SYS_ADMIN
      ENOENT  no program has this id
]]
function kernel.sys.prog_insns(id, start, limit)
  cred.need_admin("reading a prog by id")
  idr.check_living("prog", id)
  local count, ids = unpack(call("HMGET", kernel.key("prog", id), "insn_cnt", "maps"))
  local first = math.floor(start / PAGE_INSNS)
  local at = (start - first * PAGE_INSNS) * INSN_BYTES
  local text = tonumber(start) < tonumber(count) and insns.read_pages(id, first, tonumber(count)) or ""
  return count, text:sub(at + 1, at + limit * INSN_BYTES), ids, names(ids)
end
