-- Commands that list objects by id and describe who holds one.
local kernel = use("base/kernel")
local work_list = use("base/work_list")
local refcount = use("base/refcount")
local cred = use("base/cred")
local paging = use("base/paging")
local idr = use("file/idr")
local call = redis.call

local sys = kernel.sys
local kinds = refcount.kinds
-- The most that one call lists; the page says that there is more.
local HOLDERS, PAGE = 500, 200
local INT_MAX = 2147483647

-- A filter by type and name, "" for any of them; nil for no filter. BTF objects have neither.
local function filter(kind, type, name)
  if kinds[kind].floor then return function(id) return refcount.is_held(kind, id) end end
  local wanted = type ~= "" and kinds[kind].type_of(type)
  if wanted == nil then
    kernel.fail("EINVAL", "must be the name or number of a type, got " .. type, kind .. "_type")
  end
  if not wanted and name == "" then return nil end
  return function(id)
    local own_type, own_name = kinds[kind].identify(id)
    return (not wanted or own_type == wanted) and paging.is_like(own_name, name)
  end
end

local function list(kind, start, limit, type, name)
  if tonumber(start) >= INT_MAX then
    kernel.fail("EINVAL", "must be < " .. INT_MAX .. ", got " .. start, "start_id")
  end
  local matches = filter(kind, type, name)
  cred.need_admin("listing " .. kind .. "s")
  work_list.need_released()
  limit = math.min(tonumber(limit), PAGE)
  local page, last = paging.select_ids(kernel.key("ids:" .. kind), start, limit, matches)
  for i, id in ipairs(page) do page[i] = { id, kinds[kind].info(id, true) } end
  return page, last
end

--[[
  BPF_MAP_GET_NEXT_ID over and over (kernel: bpf_obj_get_next_id()): lists maps by id.

    Input:
      start  list ids greater than this
      limit  maps of a page
      type   list maps of this type alone, a name or a number; "" for all
      name   list maps with this name alone, with * at its end those whose name begins so; "" for all
    Output:
      page  { id, info } of each, info in the order of uapi.MAP_INFO
      last  last id looked at when there are more, or false
    Errors:
      EINVAL  start is INT_MAX or more, or the type is unknown
      EPERM   the caller lacks CAP_SYS_ADMIN
]]
function sys.map_get_next_id(...) return list("map", ...) end

--[[
  BPF_PROG_GET_NEXT_ID over and over (kernel: bpf_obj_get_next_id()): lists programs by id.

    Input:
      start  list ids greater than this
      limit  programs of a page
      type   list programs of this type alone, a name or a number; "" for all
      name   list programs with this name alone, with * at its end those whose name begins so; "" for all
    Output:
      page  { id, info } of each, info in the order of uapi.PROG_INFO
      last  last id looked at when there are more, or false
    Errors:
      EINVAL  start is INT_MAX or more, or the type is unknown
      EPERM   the caller lacks CAP_SYS_ADMIN
]]
function sys.prog_get_next_id(...) return list("prog", ...) end

--[[
  BPF_BTF_GET_NEXT_ID over and over (kernel: bpf_obj_get_next_id()): lists BTF objects by id.

    Input:
      start  list ids greater than this
      limit  BTF objects of a page
    Output:
      page  { id, info } of each, info in the order of uapi.BTF_INFO
      last  last id looked at when there are more, or false
    Errors:
      EINVAL  start is INT_MAX or more
      EPERM   the caller lacks CAP_SYS_ADMIN
]]
function sys.btf_get_next_id(...) return list("btf", ...) end

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
