// The dialog "Panggilan masuk": what it asks about, one after the other, and what answers itself.

import { $ } from "/client/parts.js";

/**
 * A call that rings, or somebody (`user`) who comes to mine.
 *
 * @typedef {{ call: string, user?: string, text: (Node | string)[] }} Question
 */

/** Oldest first; the first one is shown. @type {(Question & { resolve: (isAccepted: boolean | null) => void })[]} */
const questions = [];

/** @param {Question} question @returns {Promise<boolean | null>} whether the user accepts; null if it was withdrawn */
export function ask(question) {
    return new Promise((resolve) => {
        questions.push({ ...question, resolve });
        show();
    });
}

/** Whether something is asked that `matches`. @param {(question: Question) => boolean} matches */
export function isAsked(matches) {
    return questions.some(matches);
}

/** Takes back what has answered itself. @param {(question: Question) => boolean} matches @returns {boolean} whether there was any */
export function withdraw(matches) {
    const answered = questions.filter(matches);
    for (const question of answered) settle(question, null);
    return answered.length > 0;
}

function settle(question, isAccepted) {
    questions.splice(questions.indexOf(question), 1);
    question.resolve(isAccepted);
    show();
}

function show() {
    const [first] = questions;
    if (!first) return $("ring").close();
    $("ring-text").replaceChildren(...first.text);
    if (!$("ring").open) $("ring").showModal();
}

function answer(isAccepted) {
    if (questions.length) settle(questions[0], isAccepted);
}

$("ring-accept").addEventListener("click", () => answer(true));
$("ring-reject").addEventListener("click", () => answer(false));
$("ring").addEventListener("cancel", (event) => {
    event.preventDefault();
    answer(false);
});
