-- The BTF that describes a program's functions and lines. A program with func_info or line_info holds it;
-- without them prog_btf_fd is not even looked at.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local fd_table = use("file/fd_table")
local btf = use("btf/btf")
local btf_type = use("btf/btf_type")
local uapi = use("uapi")
local call = redis.call

local prog_btf = {}

-- check_btf_info_early(): the fd, then the refusal found outside of Redis for the BTF that it was.
function prog_btf.check(attr, verdict)
  if not attr.prog_btf_fd then return end
  local f = btf.fget(attr.prog_btf_fd)
  if f.id ~= verdict.btf_id then
    error({ errno = "STALE", detail = "prog_btf_fd is another BTF object now" }, 0)
  end
  if verdict.early then error(verdict.early, 0) end
end

-- Adds the fields of a program's record that describe its BTF.
function prog_btf.add_fields(record, verdict, funcs, lines)
  if not verdict.btf_id then return end
  local fields = { "btf_id", verdict.btf_id, "func_records", funcs, "line_records", lines,
    "nr_func_info", #funcs / uapi.FUNC_INFO_BYTES, "nr_line_info", #lines / uapi.LINE_INFO_BYTES }
  for _, field in ipairs(fields) do record[#record + 1] = field end
end

function prog_btf.hold(id, verdict)
  if verdict.btf_id then refcount.get("btf", verdict.btf_id, "prog:" .. id) end
end

--[[
  Reads what the checks of func_info and line_info need from a BTF object (part of BPF_PROG_LOAD).

    Input:
      fd   number of the descriptor
      ...  ids of types
    Output:
      id            of the BTF object; false when fd is none
      string_bytes  bytes of its strings
      functions     of each type: 0 unless it is a function, else the sum of 1, 2 if it is global, and 4 if it
                    returns an int or an enum
    Errors: none
]]
function kernel.sys.prog_btf(fd, ...)
  local f = fd_table.lookup(fd)
  if not f or f.kind ~= "btf" then return false end
  local functions = {}
  for i, id in ipairs({ ... }) do
    local func = btf_type.read(f.id, id)
    local is_func = func and func.kind == btf_type.FUNC
    functions[i] = is_func and 1 + (func.is_global_func and 2 or 0) + (func.returns_scalar and 4 or 0) or 0
  end
  return f.id, call("HGET", kernel.key("btf", f.id), "string_bytes"), functions
end

return prog_btf
