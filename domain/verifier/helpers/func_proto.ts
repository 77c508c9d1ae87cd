// What the helpers take and answer (struct bpf_func_proto).

/**
 * An argument:
 *   c context; C context or NULL; a anything; M map; k key of that map; v value of that map; V room for such a value
 *   r memory that is read; n the same or NULL; w memory that is written; s its bytes, as the next
 *   argument; z its bytes, perhaps 0; 8 eight bytes that are written
 *   q bytes to allocate; x allocated bytes, handed over; S constant string in a map
 *   f function; o stack or NULL, for that function; ? not modelled; + neither are all that follow
 */
export type Arg =
  | "c"
  | "C"
  | "a"
  | "M"
  | "k"
  | "v"
  | "V"
  | "r"
  | "n"
  | "w"
  | "s"
  | "z"
  | "8"
  | "q"
  | "x"
  | "S"
  | "f"
  | "o"
  | "?"
  | "+";

/** i a number; e a number up to the size given, or an error; m a value of the map or NULL; R bytes of a
 * ring buffer or NULL; c a CPU's number; v nothing; ? not modelled. */
export type ReturnKind = "i" | "e" | "m" | "R" | "c" | "v" | "?";

export interface Proto {
  readonly args: readonly Arg[];
  readonly answer: ReturnKind;
}

/** Number, answer and arguments. */
const PROTOS = `
1 mMk|2 iMkva|3 iMk|4 iwza|5 i|6 irs|7 i|8 c|9 icarsa|10 icaaaa|11 icaaaa|12 vcMa|13 icaa|14 i|15 i
16 iws|17 ic|18 icaa|19 ic|20 icwsa|21 icrsa|22 iMa|23 iaa|24 ic|25 icMarz|26 icaws|27 icMa
28 inznza|29 icws|30 icrs|31 icaa|32 ica|33 icMa|34 ic|35 i|37 iMa|38 icaa|39 ica|40 ica|41 ic|42 i
43 icaa|44 ica|45 ewza|46 ic|47 ic|48 ica|49 icaars|50 icaaa|51 iMaa|52 icMaa|53 icMka|54 ica|55 iMaws
56 icws|57 icaaws|59 ica|60 icMaa|61 ica|62 ica|63 icaaa|64 icrs|65 ica|66 icawsa|67 ecwza|68 icawsa
69 icwsa|70 icMka|71 icMka|72 icMka|73 icars|74 icars|75 icaa|76 icars|79 ic|80 i|81 ?Ma|82 icMka
83 ica|84 ?crsaa|85 ?crsaa|86 i?|87 iMva|88 iMV|89 iMV|90 icaaa|91 icaaa|93 v?|94 v?|95 ??|96 ??|97 ic
98 ??|99 ?crsaa|100 i?+|101 icwza|102 icws|103 icws|104 icrs|105 irsa8|106 irsa8|107 ?M?+|108 iM?
109 ia|110 i?+|111 i?+|112 iwza|113 iwza|114 ewza|115 ewza|117 ia|118 i|119 icwza|120 iaaws|121 i?+
122 iC|123 ia|124 ic?a|125 i|128 i?|129 i?a|130 iMrza|131 RMqa|132 vxa|133 vxa|134 iMa|135 ica
136 ??|137 ??|138 ??|139 ??|140 ??|141 i?+|142 icwsa|143 icrsa|144 icaa|147 i?+|148 i?+|149 iwsrsa
151 ic|152 ianza|153 ??a|154 ??|155 iaa|156 ?M?+|157 iM?|158 ?|160 i|162 ??|163 ica?aa|164 iMfoa
165 iwzSnz|166 iars|167 irsaa|168 ia|169 i?+|170 i?+|171 i?+|172 i?+|173 ic|174 ic|175 ??|176 iwza
177 irsnz|178 ??|179 i?+|180 i?+|181 iafoa|182 irsS|186 i|187 ia|188 ic|189 icaws|190 icars|191 i?+
192 icaa|194 ??+|195 mMka|196 ??|197 i?+|198 i?+|199 v?a|200 v?a|201 i?+|202 i?+|203 ??+|204 i??s
205 i??s|206 i??|207 i??|208 i|209 i?+|210 ?M?+|211 iM?`;

function parse(): ReadonlyMap<number, Proto> {
  const protos = new Map<number, Proto>();
  for (const entry of PROTOS.trim().split(/\||\n/)) {
    const [number, ...rest] = entry.split(" ");
    const [answer, ...args] = rest.join("");
    protos.set(Number(number), { answer: answer as ReturnKind, args: args as Arg[] });
  }
  return protos;
}

const protos = parse();
const UNKNOWN: Proto = { args: [], answer: "?" };

const GET_CGROUP_CLASSID = 17;
const GET_SOCKET_COOKIE = 46;
const OF_THE_PACKET = /^(sched|lwt)_/;
const OF_A_SOCKET = ["sk_reuseport", "syscall"];

/** Two are other functions in some types: the class of the current task, the cookie of a socket. */
export function protoOf(helper: number, progType: string | undefined): Proto {
  if (progType !== undefined) {
    if (helper === GET_CGROUP_CLASSID && !OF_THE_PACKET.test(progType)) {
      return { args: [], answer: "i" };
    }
    if (helper === GET_SOCKET_COOKIE && OF_A_SOCKET.includes(progType)) {
      return { args: ["?"], answer: "i" };
    }
  }
  return protos.get(helper) ?? UNKNOWN;
}

/** They may read packets directly (pkt_access). */
const PACKET_READERS = new Set([1, 2, 3, 28, 84, 85, 87, 99, 195, 204, 205, 206, 207]);
/** Pointers into the packet are gone afterwards (bpf_helper_changes_pkt_data). */
const PACKET_CHANGERS = new Set([
  9, 10, 11, 12, 13, 18, 19, 31, 38, 39, 43, 44, 50, 54, 63, 65, 73, 74, 75, 76, 90, 91, 143,
]);

export const readsPacket = (helper: number): boolean => PACKET_READERS.has(helper);
export const changesPacket = (helper: number): boolean => PACKET_CHANGERS.has(helper);
