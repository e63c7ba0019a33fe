// Small parts of the page at `/` that know nothing of rooms and calls.

import { Problem } from "/client/comblang.js";

/** @template {HTMLElement} T @param {string} id @returns {T} */
export const $ = (id) => document.getElementById(id);

/** @param {string} tag @param {Record<string, any>} [properties] @param {...(Node | string)} children */
export function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
}

/** What people call themselves and their rooms: whichever way it is written, what stands around it stays as it is. */
export function named(name) {
    return make("bdi", { textContent: name });
}

/** Says when a field has more characters than the server takes. `maxlength` would count most emoji twice, and cut. */
export function bound(input, charactersMax, what) {
    input.addEventListener("input", () => {
        const count = input.value.length <= charactersMax ? 0 : [...input.value].length;
        const isTooLong = count > charactersMax;
        const wasTooLong = input.validity.customError;
        const [has, may] = [count, charactersMax].map((number) => number.toLocaleString("id"));
        input.setCustomValidity(isTooLong ? `${what} terlalu panjang: ${has} karakter, paling banyak ${may}.` : "");
        if (isTooLong && !wasTooLong) input.reportValidity();
    });
}

/** What went wrong, in the words of the page. */
export function explain(error) {
    const problem = Problem.from(error);
    const known = {
        "network": "Server tidak bisa dihubungi. Coba lagi.",
        "signed-out": "Sesi sudah berakhir. Masuk lagi.",
        "unauthorized": "Nama pengguna atau kata sandi salah.",
        "account-suspended": "Akun ini ditangguhkan. Hubungi admin.",
        "registration-closed": "Pendaftaran ditutup. Masuk dengan akunmu.",
        "invite-required": "Pendaftaran di sini hanya dengan undangan.",
        "rate-limited": "Terlalu banyak permintaan. Tunggu sebentar.",
        "name-taken": "Nama itu sudah dipakai. Pilih yang lain.",
        "media": "Gagal akses kamera/mic! Pastikan izin sudah diberikan di peramban.",
        "call-ended": "Panggilan itu sudah berakhir.",
        "call-full": "Panggilan sudah penuh.",
        "joined-elsewhere": "Kamu sudah ikut panggilan ini di perangkat lain.",
        "room-archived": "Ruang ini sudah diarsipkan.",
        "not-a-member": "Kamu bukan anggota ruang ini.",
        "forbidden": "Kamu tidak boleh melakukan ini.",
    };
    return known[problem.slug] ?? `${problem.message} (${problem.slug})`;
}
