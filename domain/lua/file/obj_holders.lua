-- Commands that describe an object and who holds it.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local cred = use("base/cred")
local idr = use("file/idr")
local call = redis.call

local sys = kernel.sys
local kinds = refcount.kinds
-- The most that one call lists; the answer says that there is more.
local HOLDERS = 500

local function holders_of(key)
  local held
  if call("HLEN", key) > HOLDERS then
    held = call("HRANDFIELD", key, HOLDERS, "WITHVALUES")
  else
    held = call("HGETALL", key)
  end
  local holders = {}
  for i = 1, #held, 2 do
    local row = { held[i], held[i + 1] }
    local n = held[i]:match("^file:(%d+)$")
    if n then
      row[3], row[4] = unpack(call("HMGET", kernel.key("file", n), "session", "refs"))
    end
    holders[#holders + 1] = row
  end
  return holders
end

local function get(kind, id)
  cred.need_admin("reading a " .. kind .. " by id")
  idr.check_living(kind, id)
  local key = kernel.key("holders:" .. kind, id)
  return kinds[kind].info(id), holders_of(key), call("HLEN", key) > HOLDERS and 1 or 0
end

--[[
  Describes a map and who holds it (extension).

    Input:
      id  of the map
    Output:
      info       in the order of uapi.MAP_INFO
      holders    { holder, count }; a file has its session and its number of sharers as well
      truncated  1 when there are more holders than listed, else 0
    Errors:
      EPERM   the caller lacks CAP_SYS_ADMIN
      ENOENT  no map has this id
]]
function sys.map_get(id) return get("map", id) end

--[[
  Describes a program and who holds it (extension).

    Input:
      id  of the program
    Output:
      info       in the order of uapi.PROG_INFO
      holders    { holder, count }; a file has its session and its number of sharers as well
      truncated  1 when there are more holders than listed, else 0
    Errors:
      EPERM   the caller lacks CAP_SYS_ADMIN
      ENOENT  no program has this id
]]
function sys.prog_get(id) return get("prog", id) end

--[[
  Describes a BTF object and who holds it (extension).

    Input:
      id  of the BTF object
    Output:
      info       in the order of uapi.BTF_INFO
      holders    { holder, count }; a file has its session and its number of sharers as well
      truncated  1 when there are more holders than listed, else 0
    Errors:
      EPERM   the caller lacks CAP_SYS_ADMIN
      ENOENT  no BTF object has this id
]]
function sys.btf_get(id) return get("btf", id) end
