// Where everything stands on the map: once for a wide screen, once for a narrow one.

/** The middle of each, and how wide it is. */
const WIDE = {
  view: "0 18 880 410",
  nodes: {
    gateway: [78, 215, 128],
    user: [296, 50, 128],
    product: [520, 50, 128],
    order: [400, 215, 128],
    payment: [770, 215, 176],
    bank: [770, 50, 128],
    bus: [400, 395, 128],
    mail: [770, 395, 128],
    registry: [78, 335, 128],
    config: [78, 400, 128],
  },
  // Each line, and where its breakers are.
  lines: {
    "gateway->user": ["M110 189 240 76", 176, 131],
    "gateway->product": ["M142 193 470 76", 238, 159],
    "gateway->order": ["M142 215H336", 232, 215],
    "gateway->payment": ["M100 241C160 325 650 335 730 241", 560, 294],
    "order->user": ["M384 189 312 76", 359, 150],
    "order->product": ["M424 189 500 76", 463, 131],
    "order->payment": ["M464 215H682", 572, 215],
    "order->bus": ["M400 241V369", 400, 341],
    "user->bus": ["M284 76C270 200 290 330 352 369", 285, 262],
    "product->user": ["M456 50H360", 408, 50],
    "payment->bank": ["M770 189V76", 770, 132],
    "mail->bus": ["M706 395H464", 585, 395],
  },
};

const TALL = {
  view: "0 0 358 642",
  nodes: {
    gateway: [110, 30, 116],
    user: [53, 172, 96],
    product: [218, 172, 112],
    order: [118, 296, 108],
    payment: [136, 426, 156],
    bank: [302, 426, 96],
    bus: [130, 540, 104],
    mail: [302, 540, 96],
    registry: [70, 612, 116],
    config: [218, 612, 116],
  },
  lines: {
    "gateway->user": ["M84 56 52 146", 66, 104],
    "gateway->product": ["M146 56 214 146", 182, 104],
    "gateway->order": ["M118 56V270", 124, 104],
    "gateway->payment": ["M168 36C380 40 340 260 318 330 300 372 250 372 206 400", 326, 272],
    "order->user": ["M92 270 60 198", 76, 234],
    "order->product": ["M146 270 206 198", 182, 234],
    "order->payment": ["M120 322V400", 120, 361],
    "order->bus": ["M66 306C26 320 34 380 34 430S40 520 78 532", 36, 350],
    "user->bus": ["M14 198C10 300 10 400 12 470S30 545 78 545", 18, 262],
    "product->user": ["M162 172H101", 144, 172],
    "payment->bank": ["M214 426H254", 234, 426],
    "mail->bus": ["M254 540H182", 218, 540],
  },
};

/** The map for so much width. */
export const placesFor = (width) => (width < 600 ? TALL : WIDE);

/** What stands in the picture and is no process. */
export const BUS = "bus";

/** The hop of a call or of one of its handles: `order->payment` of `order->payment-2`, `gateway->user` of `gateway->user GET`. */
export const hop = (name) => name.replace(/[ ,/].*$/, "").replaceAll(/-\d+/g, "");
