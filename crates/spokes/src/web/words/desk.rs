//! What authors see at the writing desk in their browsers, in both tongues.

use super::words;

words! {
    /// The words on the pages of the desk.
    DeskWords: &'static str {
        desk: "Writing desk", "مكتب الكتابة";
        menu: "Your desk", "مكتبك";
        home: "Your blogs and drafts", "مدوناتك ومسوداتك";
        sign_out: "Sign out", "تسجيل الخروج";
        signed_in_as: "Signed in with the key {fingerprint}.", "سجّلت الدخول بالمفتاح {fingerprint}.";
        sign_out_keeps: "What you typed is kept as a draft.", "ما كتبته يُحفظ مسودةً.";
        go_on: "Go on", "تابع";
        back: "Back", "رجوع";

        sign_in: "Sign in", "تسجيل الدخول";
        no_password: "There is no password here, and nobody asks for one. Your OpenPGP key shows who you are, and it never leaves your own device.",
            "لا كلمة مرور هنا، ولا أحد يطلبها منك. مفتاح OpenPGP الذي تملكه يدل عليك، ولا يغادر جهازك أبدًا.";
        step_save: "Save these lines as a file:", "احفظ هذه الأسطر في ملف:";
        download: "Download {file}", "نزّل {file}";
        step_sign: "Sign it on your own device, in a terminal or with a program such as Kleopatra, GPG Suite or OpenKeychain:",
            "وقّعه على جهازك، في الطرفية أو ببرنامج مثل Kleopatra أو GPG Suite أو OpenKeychain:";
        step_paste: "Open {file}, copy all of it and paste it here:", "افتح {file} وانسخه كله والصقه هنا:";
        check_address: "Before you sign, compare: the line “Address” must show what stands in the address line of your browser, {address}. If it does not, somebody else wants to sign in as you.",
            "قارن قبل أن توقّع: يجب أن يكون في السطر «Address» ما يظهر في شريط العنوان في متصفحك، وهو {address}. إن اختلفا فثمة من يريد الدخول باسمك.";
        soon: "The answer is good for ten minutes and only once.", "يصلح الجواب عشر دقائق ولمرة واحدة.";
        blog_if: "The name of your blog, if you have one here", "اسم مدونتك إن كانت لك مدونة هنا";
        blog_if_hint: "Leave it empty if you only want that name: you ask for it after signing in.",
            "اتركه فارغًا إن كنت تريد الاسم فحسب: تطلبه بعد الدخول.";
        key_if: "Your public key, the first time: what this command writes, with your key’s own address in place of {you} {command}",
            "مفتاحك العلني في المرة الأولى: ما يكتبه هذا الأمر، وعنوان مفتاحك مكان {you} {command}";
        key_if_short: "Your first time here? Show your public key", "أهي المرة الأولى؟ أظهر مفتاحك العلني";
        no_key: "You have no key yet?", "أليس لك مفتاح بعد؟";
        no_key_how: "Install GnuPG, put your own name and address into this line, and run it. gpg then asks for a passphrase, twice:", "ثبّت GnuPG، وضع اسمك وعنوانك في هذا السطر ثم شغّله. سيسألك gpg عن عبارة سرية مرتين:";
        no_key_keep: "Keep a copy of it in a safe place: whoever has the key has the blog, and nobody can give you another.",
            "احتفظ بنسخة منه في مكان آمن: من يملك المفتاح يملك المدونة، ولا أحد يستطيع أن يعطيك غيره.";
        other_desk_go: "Already writing here? Go to your blog’s own desk", "أتكتب هنا من قبل؟ اذهب إلى مكتب مدونتك";
        go: "Go", "اذهب";
        your_text: "Your text", "نصك";

        your_blogs: "Your blogs", "مدوناتك";
        no_blog: "You have no blog here yet.", "ليست لك مدونة هنا بعد.";
        write_post: "Write a post", "اكتب تدوينة";
        write_page: "Write a page", "اكتب صفحة";
        articles: "Posts and pages", "التدوينات والصفحات";
        download_all: "Download everything", "نزّل كل شيء";
        read: "Read it", "اقرأها";
        kept_by: "Kept by {servers}.", "تحفظها {servers}.";
        offers: "A server accepted this, and then another took its place without it. Readers do not see it; it is kept.",
            "قبِل خادم هذا ثم حلّ محله آخر من دونه. لا يراه القراء، وهو محفوظ.";
        offers_todo: "Your own program publishes it again by itself if you wrote it there. Else say what shall become of it:",
            "إن كتبته في برنامجك الخاص فسينشره ثانية من تلقاء نفسه. وإلا فقل ما الذي يُفعل به:";
        write_there: "Go to its desk at {server}", "اذهب إلى مكتبها على {server}";
        other_desks: "If that server does not answer:", "إن لم يجب ذلك الخادم:";
        found_title: "The desk of “{name}”", "مكتب «{name}»";
        found: "Each server has a name of its own. The blog’s posts are taken by the first; you sign in there.",
            "لكل خادم اسمه. والخادم الأول يستقبل تدوينات المدونة، وهناك تسجّل الدخول.";
        drafts: "Drafts", "المسودات";
        no_drafts: "No drafts. What you begin to write is kept here.", "لا مسودات. ما تبدأ كتابته يُحفظ هنا.";
        drafts_whose: "Drafts are kept on this server alone until you publish them, for 90 days; whoever runs it could read them.",
            "تُحفظ المسودات على هذا الخادم وحده حتى تنشرها، ولمدة ٩٠ يومًا؛ ومن يدير الخادم يستطيع قراءتها.";
        untitled: "Without a title", "بلا عنوان";
        delete: "Delete this draft", "احذف هذه المسودة";
        delete_sure: "Its words are gone then, and nobody can bring them back.", "ستزول كلماتها، ولا أحد يستطيع أن يعيدها.";
        delete_now: "Delete it for good", "احذفها نهائيًا";
        start_blog: "Start a blog", "ابدأ مدونة";
        way_on: "Go on at “{server}”", "تابع على «{server}»";
        goes_along: "After signing in you go on with the name “{name}”.", "بعد تسجيل الدخول تتابع بالاسم «{name}».";

        ask: "Ask for a blog", "اطلب مدونة";
        name: "Name", "الاسم";
        name_hint: "3 to 32 of a–z, 0–9 and hyphens. It becomes the address: {address}", "من ٣ إلى ٣٢ من الحروف a–z والأرقام 0–9 والشرطة. ويصير عنوانًا: {address}";
        title: "Title", "العنوان";
        blog_language: "Language it is written in", "لغة الكتابة فيها";
        language_hint: "A code such as en, ar, pt-BR", "رمز مثل en أو ar أو pt-BR";
        user_id: "Which of your key’s names becomes public", "أي اسم من أسماء مفتاحك يصير علنيًا";
        public_for_ever: "With the blog these become public, for ever:", "مع المدونة يصير ما يلي علنيًا إلى الأبد:";
        fingerprint: "Fingerprint of your key", "بصمة مفتاحك";
        user_id_short: "Name in your key", "الاسم في مفتاحك";
        sign_name: "Sign to ask for “{name}”", "وقّع لطلب «{name}»";
        send: "Send", "أرسل";
        pending: "“{name}” is asked for", "طُلب الاسم «{name}»";
        pending_now: "Pending: this server has asked the network’s council for the name. This page looks again by itself.",
            "قيد الانتظار: طلب هذا الخادم الاسم من مجلس الشبكة. تعيد هذه الصفحة النظر من تلقاء نفسها.";
        pending_silent: "Pending: the council does not answer just now. Your request is kept and is sent again until it answers, for an hour at most.",
            "قيد الانتظار: لا يجيب المجلس الآن. طلبك محفوظ ويُرسل من جديد حتى يجيب، لمدة ساعة على الأكثر.";
        look_again: "Look again", "انظر من جديد";
        live: "“{name}” is yours", "«{name}» لك";
        live_now: "Live: the blog answers at {address}, and the edit address {edit} leads to the server that takes what you write.",
            "تعمل الآن: المدونة على {address}، والعنوان {edit} يقود إلى الخادم الذي يستقبل ما تكتب.";
        choose_other: "Choose another name", "اختر اسمًا آخر";

        write: "Write", "اكتب";
        edit: "Edit", "حرّر";
        for_blog: "Blog", "المدونة";
        words: "Text", "النص";
        words_hint: "In Markdown: **bold**, *slanted*, [a link](https://…), # a heading, - a list", "بصيغة Markdown: **عريض**، *مائل*، [رابط](https://…)، # عنوان، - قائمة";
        tags: "Tags, with commas between them", "الوسوم وبينها فواصل";
        address: "Address; empty: made from the title", "العنوان في الرابط؛ فارغ: يُصنع من عنوان النص";
        language: "Language; empty: the blog’s", "اللغة؛ فارغ: لغة المدونة";
        date: "Date; empty: today", "التاريخ؛ فارغ: اليوم";
        date_hint: "As YYYY-MM-DD, such as 2026-11-25", "بالشكل YYYY-MM-DD، مثل 2026-11-25";
        more_settings: "Address, tags, language, date", "الرابط والوسوم واللغة والتاريخ";
        pictures: "Pictures", "الصور";
        picture: "Picture file: PNG, JPEG, GIF or WebP", "ملف الصورة: PNG أو JPEG أو GIF أو WebP";
        picture_alt: "What it shows, for those who cannot see it", "ما فيها، لمن لا يستطيع رؤيتها";
        add_picture: "Add the picture", "أضف الصورة";
        picture_hint: "It goes to the end of the text; move its line to where you want it. What the camera noted (place, time, device) is removed.",
            "تُضاف في آخر النص؛ انقل سطرها إلى حيث تريد. ويُحذف ما سجّلته الكاميرا (المكان والوقت والجهاز).";
        picture_stays: "What it shows stays, and so does its color profile. Other kinds of files come with the spokes program; PDF, Ogg and WebM keep what programs noted in them.",
            "ويبقى ما تُظهره، وكذلك ملف ألوانها. أما الأنواع الأخرى من الملفات فتُضاف بالبرنامج spokes، وتحتفظ ملفات PDF وOgg وWebM بما سجّلته البرامج فيها.";
        save: "Save the draft", "احفظ المسودة";
        preview: "Preview", "معاينة";
        to_sign: "Sign and publish", "وقّع وانشر";
        kept: "Your draft is kept.", "مسودتك محفوظة.";
        kept_picture: "The picture is kept; its line stands at the end of your text.", "الصورة محفوظة؛ وسطرها في آخر نصك.";
        deleted: "The draft is deleted.", "حُذفت المسودة.";
        signed_out: "You are signed out. Saved drafts wait here until you come back.", "سجّلت الخروج. المسودات المحفوظة تنتظرك هنا حتى تعود.";

        sign: "Sign what you wrote", "وقّع ما كتبت";
        sign_why: "Nothing is published without your signature. This is exactly what you sign; read it before you do:",
            "لا يُنشر شيء بلا توقيعك. هذا بالضبط ما توقّعه؛ اقرأه قبل التوقيع:";
        trust: "What you trust this server with", "فيمَ تأتمن هذا الخادم";
        trust_how: "This server wrote the lines above from what you typed. A dishonest one could write something else: so read what you sign, above all {look}. It can neither sign for you nor change what you signed. It takes posts, pages and new blogs in this way; keys, names and erasures need the {program} program on your own device, because there no stranger writes the text.",
            "كتب هذا الخادم الأسطر أعلاه مما كتبته. وقد يكتب خادم غير أمين شيئًا آخر: فاقرأ ما توقّعه، ولا سيما {look}. لا يستطيع أن يوقّع عنك ولا أن يغيّر ما وقّعته. وهو يقبل بهذه الطريقة التدوينات والصفحات والمدونات الجديدة؛ أما المفاتيح والأسماء والمحو فتحتاج إلى البرنامج {program} على جهازك، إذ لا يكتب النص هناك غريب.";
        look_post: "the text itself and the line “Replaces”", "النص نفسه والسطر «Replaces»";
        look_blog: "the lines “Name” and “Network”, and that “Author” and “Certificate” name your key and no other",
            "السطرين «Name» و«Network»، وأن السطرين «Author» و«Certificate» يذكران مفتاحك دون غيره";
        publish: "Publish", "انشر";
        change_text: "Change the text", "غيّر النص";
        published: "Published", "نُشرت";
        published_at: "It stands at {address}.", "تجدها على {address}.";
        safe: "Safe: it is on {servers}, more than half of those that keep your blog.", "في أمان: هي على {servers}، أي أكثر من نصف ما يحفظ مدونتك.";
        safe_alone: "It is on one server, the only one that keeps your blog so far. A second one makes it safe.",
            "هي على خادم واحد هو وحده ما يحفظ مدونتك حتى الآن. وخادم ثان يجعلها في أمان.";
        not_safe: "It is on {servers}; it counts as safe when more than half of the blog’s servers have it. This page looks again by itself. Keep your signed file until then.",
            "هي على {servers}؛ وتكون في أمان حين تكون على أكثر من نصف خوادم المدونة. تعيد هذه الصفحة النظر من تلقاء نفسها. احتفظ بملفك الموقّع حتى ذلك الحين.";
        of_servers: "{count} of {all}: {servers}", "{count} من {all}: {servers}";

        no_articles: "Nothing is published here yet.", "لم يُنشر هنا شيء بعد.";
        erase: "Erase", "امحُ";
        erase_title: "Erase “{title}”", "امحُ «{title}»";
        erase_why: "Erasing takes the words away on every server, for ever. A page that a stranger’s server writes must not be able to do that with your signature, so it is done on your own device. With the {program} program:",
            "المحو يزيل الكلمات من كل الخوادم إلى الأبد. ولا يجوز لصفحة يكتبها خادم غريب أن تفعل ذلك بتوقيعك، ولهذا يكون على جهازك. بالبرنامج {program}:";
        erase_gpg: "Or with gpg and curl alone: download {file}, check that its line “Erases” names {id}, then:",
            "أو بالبرنامجين gpg وcurl وحدهما: نزّل {file} وتحقق من أن السطر «Erases» يذكر {id}، ثم:";
        erase_edit: "If you only want other words in its place, edit it: the new version shows at once, old ones stay in the log.",
            "إن أردت كلمات أخرى مكانها فحسب فحرّرها: تظهر النسخة الجديدة حالًا، وتبقى القديمة في السجل.";
        download_why: "All that you signed, the text of each post as Markdown, and every picture. {program} puts it on any network again, under the same ids.",
            "كل ما وقّعته، ونص كل تدوينة بصيغة Markdown، وكل صورة. والبرنامج {program} يعيدها إلى أي شبكة بالمعرّفات نفسها.";
        download_many: "Unpack all files into one folder.", "فكّ الملفات كلها في مجلد واحد.";
    }
}

words! {
    /// What the desk says when something did not go as hoped: a few words, what happened, what is safe,
    /// what to do.
    DeskSentences: [&'static str; 4] {
        not_signed_text:
            ["That cannot be read", "What you pasted is not what a signing program writes: {why}.", "Nothing was changed, and what you typed stands below.", "Paste the whole of the signed file, from its first line of dashes to its last."],
            ["تعذّرت القراءة", "ما لصقته ليس ما يكتبه برنامج توقيع: {why}.", "لم يتغيّر شيء، وما كتبته مبيّن أدناه.", "الصق الملف الموقّع كله من سطر الشرطات الأول إلى الأخير."];
        changed_text:
            ["The text was changed", "The signed text is not as this page gave it: {why}.", "Nothing was published. Your draft and what you pasted are kept.", "Save the text as it stands above, sign that file, and paste all of the result."],
            ["تغيّر النص", "النص الموقّع ليس كما أعطته هذه الصفحة: {why}.", "لم يُنشر شيء. مسودتك وما لصقته محفوظان.", "احفظ النص كما هو أعلاه، ووقّع ذلك الملف، والصق الناتج كله."];
        other_article:
            ["You signed another text", "What you signed is “{title}”, another text than the one below, or an older form of it.", "Nothing was published, and your draft is kept.", "Download the text below once more and sign the file “{file}”. Your browser may have an older file of that name, and have saved the new one with “(1)” in its name."],
            ["وقّعت نصًا آخر", "ما وقّعته هو «{title}»، وهو غير النص الذي أدناه أو صورة أقدم منه.", "لم يُنشر شيء، ومسودتك محفوظة.", "نزّل النص الذي أدناه من جديد ووقّع الملف «{file}». فربما كان في متصفحك ملف أقدم بهذا الاسم فحفظ الجديد وفي اسمه «(1)»."];
        other_claim:
            ["You signed another text", "What you signed asks for “{name}”, in another text than the one below, which asks for “{wanted}”.", "Nothing was asked for, and what you pasted stands below.", "Download the text below once more and sign that file. Your browser may have saved it with “(1)” in its name."],
            ["وقّعت نصًا آخر", "ما وقّعته يطلب «{name}»، وهو غير النص الذي أدناه ويطلب «{wanted}».", "لم يُطلب شيء، وما لصقته مبيّن أدناه.", "نزّل النص الذي أدناه من جديد ووقّع ذلك الملف. فربما حفظه متصفحك وفي اسمه «(1)»."];
        draft_changed:
            ["The draft was changed meanwhile", "After the text was made that you signed, this draft was changed, perhaps in another window.", "Nothing was published, and your draft is kept as it was changed.", "Read it below, then press “Sign and publish” and sign the new text."],
            ["تغيّرت المسودة في هذه الأثناء", "تغيّرت هذه المسودة بعد أن صُنع النص الذي وقّعته، ربما في نافذة أخرى.", "لم يُنشر شيء، ومسودتك محفوظة كما تغيّرت.", "اقرأها أدناه ثم اضغط «وقّع وانشر» ووقّع النص الجديد."];
        other_text:
            ["You signed something else", "The signed text is not one with which one signs in: {why}.", "Nobody was signed in, and what you typed stands below.", "Sign the lines that this page shows now."],
            ["وقّعت شيئًا آخر", "النص الموقّع ليس نص تسجيل دخول: {why}.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "وقّع الأسطر التي تعرضها هذه الصفحة الآن."];
        other_network:
            ["That answer is for another network", "The lines that you signed are another network’s.", "Nobody was signed in, and what you typed stands below.", "Sign the lines that this page shows now."],
            ["هذا الجواب لشبكة أخرى", "الأسطر التي وقّعتها لشبكة أخرى.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "وقّع الأسطر التي تعرضها هذه الصفحة الآن."];
        other_spoke:
            ["That answer is for another server", "The lines that you signed are for the server “{spoke}”, and this one is “{me}”.", "Nobody was signed in, and what you typed stands below.", "If a page at this address showed you those lines, tell the organizers. Else sign the lines that this page shows now."],
            ["هذا الجواب لخادم آخر", "الأسطر التي وقّعتها للخادم «{spoke}»، وهذا الخادم «{me}».", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "إن عرضتها عليك صفحة على هذا العنوان فأخبر المنظمين، وإلا فوقّع الأسطر التي تعرضها هذه الصفحة الآن."];
        not_ours:
            ["This server did not write those lines", "The lines that you signed were changed, or are not from this server.", "Nobody was signed in, and what you typed stands below.", "Sign the lines that this page shows now, unchanged."],
            ["لم يكتب هذا الخادم تلك الأسطر", "الأسطر التي وقّعتها تغيّرت أو ليست من هذا الخادم.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "وقّع الأسطر التي تعرضها هذه الصفحة الآن كما هي."];
        expired:
            ["That answer came too late", "The lines that you signed were good for ten minutes, and these are over.", "Nobody was signed in, and what you typed stands below.", "Sign the lines that this page shows now."],
            ["وصل هذا الجواب متأخرًا", "كانت الأسطر التي وقّعتها صالحة عشر دقائق وقد انقضت.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "وقّع الأسطر التي تعرضها هذه الصفحة الآن."];
        used:
            ["That answer was used before", "Perhaps you pasted an older sign-in file: each answer is good once, and somebody signed in with this one already.", "Nobody was signed in now, and what you typed stands below.", "Download the lines that this page shows now and sign that file; your browser may have saved it with “(1)” in its name. If you never signed in with this answer, tell the organizers."],
            ["استُعمل هذا الجواب من قبل", "ربما لصقت ملف دخول أقدم: كل جواب يصلح مرة واحدة، وقد دخل أحد بهذا الجواب من قبل.", "لم يدخل أحد الآن، وما كتبته مبيّن أدناه.", "نزّل الأسطر التي تعرضها هذه الصفحة الآن ووقّع ذلك الملف؛ فربما حفظه متصفحك وفي اسمه «(1)». وإن لم تدخل بهذا الجواب قط فأخبر المنظمين."];
        unknown_key:
            ["This server does not know your key yet", "The signature is by a key that was not shown here before.", "Nobody was signed in, and what you typed stands below.", "Paste your public key below, or name your blog if you have one here, and send both again."],
            ["لا يعرف هذا الخادم مفتاحك بعد", "التوقيع بمفتاح لم يُعرض هنا من قبل.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "الصق مفتاحك العلني أدناه، أو اذكر اسم مدونتك إن كانت لك مدونة هنا، ثم أرسل من جديد."];
        bad_signature:
            ["The signature is not good", "The signature under these lines does not hold: {why}.", "Nobody was signed in, and what you typed stands below.", "Sign the lines that this page shows now with a key that is good today."],
            ["التوقيع غير سليم", "التوقيع على هذه الأسطر لا يصح: {why}.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "وقّع الأسطر التي تعرضها هذه الصفحة الآن بمفتاح صالح اليوم."];
        bad_clock:
            ["The clocks do not agree", "The signature says that it was made at {why}, and this server’s clock says otherwise.", "Nobody was signed in, and what you typed stands below.", "Set the clock of your device, then sign the lines that this page shows now."],
            ["الساعتان لا تتفقان", "يقول التوقيع إنه صُنع في {why}، وساعة هذا الخادم تقول غير ذلك.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "اضبط ساعة جهازك ثم وقّع الأسطر التي تعرضها هذه الصفحة الآن."];
        ended_key:
            ["That key has ended", "A blog on this network has ended this key: it signs for its author no more.", "Nobody was signed in. The blog and its drafts stay with the keys that are left.", "Sign in with one of those."],
            ["انتهى هذا المفتاح", "أنهت مدونة على هذه الشبكة هذا المفتاح، فلم يعد يوقّع عن صاحبه.", "لم يدخل أحد. وتبقى المدونة ومسوداتها لمن معه المفاتيح الباقية.", "ادخل بواحد منها."];
        bad_signature_entry:
            ["The signature is not good", "The signature under this text does not hold: {why}.", "Nothing was published. Your draft and what you pasted are kept.", "Sign the text that this page shows, unchanged, with the key that you signed in with."],
            ["التوقيع غير سليم", "التوقيع على هذا النص لا يصح: {why}.", "لم يُنشر شيء. مسودتك وما لصقته محفوظان.", "وقّع النص الذي تعرضه هذه الصفحة كما هو بالمفتاح الذي دخلت به."];
        bad_key:
            ["Your public key cannot be used", "What you pasted as your public key cannot be used: {why}.", "Nobody was signed in, and what you typed stands below.", "Paste the output of “gpg --armor --export you@example.org”, with your key’s own address, or use another key."],
            ["لا يمكن استعمال مفتاحك العلني", "ما لصقته مفتاحًا علنيًا لا يمكن استعماله: {why}.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "الصق ناتج «gpg --armor --export you@example.org» وفيه عنوان مفتاحك، أو استعمل مفتاحًا آخر."];
        several_keys:
            ["Those are several keys", "What you pasted as your public key holds more than one key, perhaps all that you have.", "Nobody was signed in, and what you typed stands below.", "Add your address to the command, so that it writes one key: “gpg --armor --export you@example.org”. Paste that."],
            ["هذه عدة مفاتيح", "ما لصقته مفتاحًا علنيًا فيه أكثر من مفتاح، وربما كل ما عندك.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "أضف عنوانك إلى الأمر ليكتب مفتاحًا واحدًا: «gpg --armor --export you@example.org»، والصق ناتجه."];
        secret_key:
            ["That was your secret key", "What you pasted holds a SECRET key, and it has gone over the line to this server.", "It was not kept, its field is empty again, and nothing else was changed.", "Consider that key known to others: make another one and use that. Paste only what “gpg --armor --export you@example.org” writes."],
            ["كان ذلك مفتاحك السري", "فيما لصقته مفتاح سري، وقد وصل عبر الشبكة إلى هذا الخادم.", "لم يُحفظ، وحقله فارغ من جديد، ولم يتغيّر شيء آخر.", "اعتبر ذلك المفتاح معروفًا لغيرك: اصنع مفتاحًا آخر واستعمله. ولا تلصق إلا ناتج «gpg --armor --export you@example.org»."];
        no_blog_yet:
            ["There is no blog of that name", "You named the blog “{name}”, and this network has none of that name.", "Nobody was signed in, and what you typed stands below.", "If you want that name for yourself, leave it empty: you ask for the name after signing in. If it is your blog, look how it is written."],
            ["لا مدونة بهذا الاسم", "ذكرت المدونة «{name}»، وليس على هذه الشبكة مدونة بهذا الاسم.", "لم يدخل أحد، وما كتبته مبيّن أدناه.", "إن أردت هذا الاسم لنفسك فاترك الحقل فارغًا: تطلب الاسم بعد الدخول. وإن كانت مدونتك فانظر كيف يُكتب اسمها."];
        insecure:
            ["No sign-in over plain HTTP", "This network is reached without encryption, so anybody on the way could take over your session.", "Nothing was asked of you, nothing was sent.", "Publish with the spokes program: it needs no session. Or ask the organizers for HTTPS."],
            ["لا تسجيل دخول عبر HTTP المكشوف", "تصل إلى هذه الشبكة بلا تشفير، فيستطيع أي واحد في الطريق أن يأخذ جلستك.", "لم يُطلب منك شيء ولم يُرسل شيء.", "انشر ببرنامج spokes فهو لا يحتاج إلى جلسة، أو اطلب من المنظمين HTTPS."];
        busy:
            ["The desk is busy", "So many people are at this server’s desk that your turn has not come.", "Nothing was changed, and what you typed stands below.", "Wait {seconds} seconds, then send it again: your browser’s way back leads to the form with all that you typed."],
            ["المكتب مشغول", "عند مكتب هذا الخادم من الناس ما منع أن يأتي دورك.", "لم يتغير شيء، وما كتبته مبيّن أدناه.", "انتظر {seconds} ثوانٍ ثم أرسل من جديد: زر الرجوع في متصفحك يعيدك إلى النموذج وفيه كل ما كتبته."];
        sign_in_first:
            ["Sign in to go on", "You are not signed in here any more, or not yet.", "What you typed is not lost: it stands below and becomes a draft when you sign in.", "Sign the lines below."],
            ["سجّل الدخول لتتابع", "لم تعد مسجّل الدخول هنا، أو لم تسجّله بعد.", "ما كتبته لم يضع: هو أدناه ويصير مسودة حين تدخل.", "وقّع الأسطر أدناه."];
        sign_in_again:
            ["Sign in to go on", "You are not signed in here any more, or not yet.", "Drafts that were saved are kept. What you typed just now stands below: copy it before you go on.", "Sign the lines below, then do it again."],
            ["سجّل الدخول لتتابع", "لم تعد مسجّل الدخول هنا، أو لم تسجّله بعد.", "المسودات المحفوظة باقية. وما كتبته الآن مبيّن أدناه: انسخه قبل أن تتابع.", "وقّع الأسطر أدناه ثم أعد ما كنت تفعله."];
        other_page:
            ["That did not come from this page", "The form was sent from another page or an older session.", "Nothing was changed. What you typed stands below.", "If you pressed the button yourself, press it again here."],
            ["لم يأتِ هذا من هذه الصفحة", "أُرسل النموذج من صفحة أخرى أو من جلسة قديمة.", "لم يتغيّر شيء، وما كتبته مبيّن أدناه.", "إن كنت أنت من ضغط الزر فاضغطه هنا من جديد."];
        not_a_form:
            ["That form cannot be read", "What your browser sent cannot be read: {why}.", "Nothing was changed. Your browser still has what you typed: go back to it.", "Send it again, in smaller parts if it is large."],
            ["تعذّرت قراءة النموذج", "ما أرسله متصفحك لا يُقرأ: {why}.", "لم يتغيّر شيء. وما كتبته ما زال في متصفحك: ارجع إليه.", "أرسله من جديد، وعلى أجزاء إن كان كبيرًا."];
        too_much:
            ["There is no more room for you here", "You have as many drafts or pictures here as one author may: before you have a blog that is three short drafts without pictures.", "What was kept before stays, and what you typed stands below.", "Copy your text to your own device, or publish or delete a draft first."],
            ["لا متسع لك هنا بعد", "لديك هنا أقصى ما يجوز لكاتب من المسودات أو الصور، وهو قبل أن تكون لك مدونة ثلاث مسودات قصيرة بلا صور.", "ما حُفظ من قبل باقٍ، وما كتبته مبيّن أدناه.", "انسخ نصك إلى جهازك، أو انشر مسودة أو احذفها أولًا."];
        full:
            ["This server has no room for drafts", "All the room that this server has for drafts is taken.", "What is published stays safe, and what you typed stands below.", "Copy your text to your own device and try again tomorrow, or publish with the spokes program."],
            ["لا متسع للمسودات على هذا الخادم", "امتلأ كل ما لدى هذا الخادم من متسع للمسودات.", "ما نُشر باقٍ في أمان، وما كتبته مبيّن أدناه.", "انسخ نصك إلى جهازك وحاول غدًا، أو انشر ببرنامج spokes."];
        failed:
            ["That was not kept", "This server could not keep it: {why}.", "What was kept before stays, and what you typed stands below.", "Try again in a minute; copy your text to your own device meanwhile."],
            ["لم يُحفظ", "لم يستطع هذا الخادم حفظه: {why}.", "ما حُفظ من قبل باقٍ، وما كتبته مبيّن أدناه.", "حاول بعد دقيقة، وانسخ نصك إلى جهازك حتى ذلك الحين."];
        no_such_draft:
            ["No such draft", "There is no such draft at your desk: it was published already, or deleted.", "What is published stays where it is, and what you typed stands below.", "Look at your posts and drafts."],
            ["لا مسودة كهذه", "لا مسودة كهذه على مكتبك: نُشرت من قبل أو حُذفت.", "ما نُشر باقٍ مكانه، وما كتبته مبيّن أدناه.", "انظر في تدويناتك ومسوداتك."];
        no_such_article:
            ["No such post", "This blog has no such post, or it is not yours to edit here.", "Nothing was changed.", "Choose one of its posts from the list."],
            ["لا تدوينة كهذه", "ليس في هذه المدونة تدوينة كهذه، أو ليس لك أن تحررها هنا.", "لم يتغيّر شيء.", "اختر من القائمة تدوينة من تدويناتها."];
        too_large:
            ["Too large for a page", "The texts of this blog are more than a page can pack at once.", "The blog is untouched on all its servers.", "Use the spokes program: spokes blog export NAME --to FOLDER."],
            ["أكبر من أن تحزمه صفحة", "نصوص هذه المدونة أكثر مما تحزمه صفحة دفعة واحدة.", "المدونة كما هي على كل خوادمها.", "استعمل البرنامج: spokes blog export NAME --to FOLDER."];
        not_held:
            ["Your blog is on other servers", "This server keeps no copy of “{name}”, so nothing can be written for it here.", "Your draft is kept here.", "Go to the desk of one of its servers; copy your text along."],
            ["مدونتك على خوادم أخرى", "لا يحفظ هذا الخادم نسخة من «{name}»، فلا يمكن أن يُكتب لها هنا.", "مسودتك محفوظة هنا.", "اذهب إلى مكتب أحد خوادمها، وانقل نصك معك."];
        no_blog_chosen:
            ["Which blog is it for?", "No blog of yours is chosen for this text.", "Your draft is kept.", "Choose a blog, or ask for one first; the draft waits."],
            ["لأي مدونة هذا؟", "لم تُختر لهذا النص مدونة من مدوناتك.", "مسودتك محفوظة.", "اختر مدونة أو اطلب واحدة أولًا؛ والمسودة تنتظر."];
        nothing_typed:
            ["There is nothing to keep yet", "Neither a title nor a text was typed.", "Nothing was changed.", "Write something first."],
            ["لا شيء ليُحفظ بعد", "لم يُكتب عنوان ولا نص.", "لم يتغيّر شيء.", "اكتب شيئًا أولًا."];
        too_long:
            ["That text is too long", "The text has {bytes} bytes, and one post has at most {max}.", "It is not kept so; what you typed stands below.", "Copy it to your own device, then make it shorter or two posts of it."],
            ["النص أطول مما يجوز", "في النص {bytes} بايت، وأقصى ما في التدوينة {max}.", "لم يُحفظ هكذا، وما كتبته مبيّن أدناه.", "انسخه إلى جهازك، ثم اختصره أو اجعله تدوينتين."];
        no_title:
            ["A title is missing", "Without a title there is no address for it either.", "Your draft is kept.", "Give it a title, or an address."],
            ["العنوان ناقص", "بلا عنوان لا يكون له رابط أيضًا.", "مسودتك محفوظة.", "أعطه عنوانًا أو رابطًا."];
        no_body:
            ["There are no words yet", "The text is empty.", "Your draft is kept.", "Write something."],
            ["لا كلمات بعد", "النص فارغ.", "مسودتك محفوظة.", "اكتب شيئًا."];
        bad_slug:
            ["That address does not work", "The address {why}.", "Your draft is kept.", "Change it, or leave it empty: then it is made from the title."],
            ["هذا الرابط لا يصلح", "الرابط: {why}.", "مسودتك محفوظة.", "غيّره أو اتركه فارغًا فيُصنع من العنوان."];
        slug_taken:
            ["That address is taken", "Another post of yours stands at “{slug}”.", "Your draft is kept, and the other post stays as it is.", "Choose another address, or edit that post."],
            ["هذا الرابط مستعمل", "عند «{slug}» تدوينة أخرى لك.", "مسودتك محفوظة، والتدوينة الأخرى باقية كما هي.", "اختر رابطًا آخر أو حرّر تلك التدوينة."];
        bad_tag:
            ["A tag does not work", "The tag “{tag}” {why}.", "Your draft is kept.", "Change it or leave it out."],
            ["وسم لا يصلح", "الوسم «{tag}»: {why}.", "مسودتك محفوظة.", "غيّره أو اتركه."];
        bad_language:
            ["That language is not known", "The language {why}.", "What you typed stands below.", "Write a code such as en, ar or pt-BR."],
            ["لغة غير معروفة", "اللغة: {why}.", "ما كتبته مبيّن أدناه.", "اكتب رمزًا مثل en أو ar أو pt-BR."];
        bad_date:
            ["That date cannot be read", "The date is not one such as 2026-11-25.", "Your draft is kept.", "Change it or leave it empty."],
            ["تعذّرت قراءة التاريخ", "ليس التاريخ من قبيل 2026-11-25.", "مسودتك محفوظة.", "غيّره أو اتركه فارغًا."];
        bad_body:
            ["A line cannot be signed as it is", "In the text, {why}.", "Your draft is kept.", "Change that line."],
            ["سطر لا يمكن توقيعه كما هو", "في النص: {why}.", "مسودتك محفوظة.", "غيّر ذلك السطر."];
        bad_picture:
            ["That picture cannot be taken", "The file cannot be taken: {why}.", "Your draft is kept, with what you wrote about the picture.", "Choose another file: PNG, JPEG, GIF or WebP."],
            ["لا يمكن أخذ هذه الصورة", "لا يمكن أخذ الملف: {why}.", "مسودتك محفوظة مع ما كتبته عن الصورة.", "اختر ملفًا آخر: PNG أو JPEG أو GIF أو WebP."];
        guest_picture:
            ["Pictures come with a blog", "Pictures are kept for those who have a blog here.", "Your draft is kept, with what you wrote about the picture.", "Ask for a blog first; then add the picture."],
            ["الصور بعد المدونة", "تُحفظ الصور لمن له مدونة هنا.", "مسودتك محفوظة مع ما كتبته عن الصورة.", "اطلب مدونة أولًا ثم أضف الصورة."];
        other_kind:
            ["That needs your own device", "The text that you signed is of the kind “{kind}”; pages take only posts, pages and new blogs.", "Nothing was changed, and what you pasted stands below.", "Use the spokes program, or send it with curl as the handbook says, after you have read what it says."],
            ["هذا يحتاج إلى جهازك", "النص الذي وقّعته من نوع «{kind}»، وهذه الصفحات لا تقبل إلا التدوينات والصفحات والمدونات الجديدة.", "لم يتغيّر شيء، وما لصقته مبيّن أدناه.", "استعمل برنامج spokes، أو أرسله بالبرنامج curl كما في الدليل بعد أن تقرأ ما فيه."];
        other_author:
            ["Another key signs there", "The text names another author or another blog than yours here.", "Nothing was changed, and what you pasted stands below.", "Sign the text that this page shows."],
            ["مفتاح آخر", "يذكر النص كاتبًا آخر أو مدونة أخرى غير مدونتك هنا.", "لم يتغيّر شيء، وما لصقته مبيّن أدناه.", "وقّع النص الذي تعرضه هذه الصفحة."];
        stale:
            ["Something was published meanwhile", "Another device, or another draft, published in this blog after the text was made.", "Nothing is lost: what was published stands, and your words are in the new text below.", "Sign the text once more."],
            ["نُشر شيء في هذه الأثناء", "نشر جهاز آخر أو مسودة أخرى في هذه المدونة بعد أن صُنع النص.", "لم يضع شيء: ما نُشر باقٍ، وكلماتك في النص الجديد أدناه.", "وقّع النص مرة أخرى."];
        refused:
            ["It was not taken", "The server that keeps your blog did not take it: {why}", "Nothing was published. Your draft and what you pasted are kept.", "Mend what it names and send it again."],
            ["لم يُقبل", "لم يقبله الخادم الذي يحفظ مدونتك: {why}", "لم يُنشر شيء. مسودتك وما لصقته محفوظان.", "أصلح ما ذُكر وأرسله من جديد."];
        unreachable:
            ["It could not be brought there", "The server that takes what you write did not answer: {why}", "Your draft and your signed text are kept; sending it twice does no harm.", "Press the button again in a minute."],
            ["تعذّر إيصاله", "لم يجب الخادم الذي يستقبل ما تكتب: {why}", "مسودتك ونصك الموقّع محفوظان، ولا ضرر في إرساله مرتين.", "اضغط الزر من جديد بعد دقيقة."];
        bad_name:
            ["That name does not work", "A name has 3 to 32 of the letters a–z, the digits 0–9 and hyphens, with no hyphen at an end and no two together as its third and fourth.", "Nothing was asked for, and what you typed stands below.", "Choose another name."],
            ["هذا الاسم لا يصلح", "الاسم من ٣ إلى ٣٢ من الحروف a–z والأرقام 0–9 والشرطة، بلا شرطة في طرفيه ولا شرطتين متتاليتين في موضعيه الثالث والرابع.", "لم يُطلب شيء، وما كتبته مبيّن أدناه.", "اختر اسمًا آخر."];
        reserved:
            ["That name is reserved", "The network keeps “{name}” for itself.", "Nothing was asked for, and what you typed stands below.", "Choose another name."],
            ["هذا الاسم محجوز", "تحتفظ الشبكة بالاسم «{name}» لنفسها.", "لم يُطلب شيء، وما كتبته مبيّن أدناه.", "اختر اسمًا آخر."];
        taken:
            ["This name is taken", "“{name}” is taken.", "Nothing of yours was changed.", "Choose another name; the rest stands below as you typed it."],
            ["الاسم مأخوذ", "الاسم «{name}» مأخوذ.", "لم يتغيّر شيء مما لك.", "اختر اسمًا آخر؛ والباقي أدناه كما كتبته."];
        name_refused:
            ["The name was not granted", "The council did not grant “{name}”: {why}", "Nothing of yours was changed.", "Do what it names, or choose another name."],
            ["لم يُمنح الاسم", "لم يمنح المجلس الاسم «{name}»: {why}", "لم يتغيّر شيء مما لك.", "افعل ما ذُكر أو اختر اسمًا آخر."];
        no_room:
            ["No room for another blog here", "The server “{spoke}” takes no new blogs now: its disk is nearly full.", "The blogs that it keeps are safe and go on as ever. What you typed goes along.", "Begin your blog at “{other}”, which has room."],
            ["لا متسع هنا لمدونة أخرى", "لا يقبل الخادم «{spoke}» مدونات جديدة الآن، فقرصه يكاد يمتلئ.", "المدونات التي يحفظها سالمة وتعمل كعادتها. وما كتبته ينتقل معك.", "ابدأ مدونتك على «{other}»، ففيه متسع."];
        no_room_anywhere:
            ["No room for another blog now", "The server “{spoke}” takes no new blogs now, and no other server of this network does.", "The blogs of this network are safe and go on as ever.", "Come back in a day, or ask those who run this network for room: one more donated server makes some."],
            ["لا متسع لمدونة أخرى الآن", "لا يقبل الخادم «{spoke}» مدونات جديدة الآن، ولا أي خادم آخر في هذه الشبكة.", "مدونات هذه الشبكة سالمة وتعمل كعادتها.", "عد بعد يوم، أو اطلب متسعًا ممن يديرون هذه الشبكة: يكفي خادم آخر يُتبرَّع به."];
        not_here:
            ["That desk is on another server", "This is the server “{me}”; the address names another one.", "Nothing was changed.", "Open the address again in a moment, or start from the front page."],
            ["هذا المكتب على خادم آخر", "هذا الخادم «{me}» والعنوان يذكر غيره.", "لم يتغيّر شيء.", "افتح العنوان من جديد بعد لحظات، أو ابدأ من الصفحة الأولى."];
    }
}
